-- name: after
-- The log after a position and up to another one, in its order, with the keys that no erasure destroyed. Never prepared: a plan made while
-- the log was empty would scan for ever.
SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor, key
FROM events_with_keys
WHERE notification_id > %s AND notification_id <= %s
ORDER BY notification_id
LIMIT %s;

-- name: end
-- The last position.
SELECT coalesce(max(notification_id), 0) FROM preferences_events;

-- name: about
-- The approximate number of events, for a progress bar.
SELECT log_about();

-- name: hold_appends
-- The lock that `append_events` takes: until the transaction ends nothing is appended, and no key is stored.
SELECT pg_advisory_xact_lock(7305114882901);

-- name: at
-- The events at these positions, in any order, with the keys that no erasure destroyed. Each is looked up by itself: a join would read all
-- keys, and a list of positions would be tried on each partition.
SELECT e.*
FROM unnest(%s::bigint[]) AS wanted (position) CROSS JOIN LATERAL (
    SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor, key
    FROM events_with_keys
    WHERE notification_id = wanted.position
    OFFSET 0
) AS e;
