-- name: after
-- The log from a position on, in its order, with the keys of those who were not erased. Never prepared: planned while
-- the log was empty, it would scan for ever.
SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor, key
FROM events_with_keys
WHERE notification_id > %s
ORDER BY notification_id
LIMIT %s;

-- name: end
-- The last position.
SELECT coalesce(max(notification_id), 0) FROM preferences_events;

-- name: at
-- The events at these positions, in any order, with the keys of those who were not erased.
SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor, key
FROM events_with_keys
WHERE notification_id = ANY (%s);
