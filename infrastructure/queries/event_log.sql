-- name: after
-- The log from a position on, in its order, with the keys of those who were not erased. Never prepared: planned while
-- the log was empty, it would scan for ever.
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state, e.sealed_actor, k.key
FROM preferences_events e LEFT JOIN person_keys k USING (originator_id)
WHERE e.notification_id > %s
ORDER BY e.notification_id
LIMIT %s;

-- name: end
-- The last position.
SELECT coalesce(max(notification_id), 0) FROM preferences_events;

-- name: at
-- The events at these positions, in any order.
SELECT notification_id, originator_id, originator_version, topic, state
FROM preferences_events
WHERE notification_id = ANY (%s);
