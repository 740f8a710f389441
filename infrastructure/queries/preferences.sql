-- name: load
-- The current preferences of several streams, with their keys: two look-ups in primary keys for each.
SELECT c.originator_id, c.version, c.choices, c.modified_at, k.key
FROM current_preferences c LEFT JOIN person_keys k USING (originator_id)
WHERE c.originator_id = ANY (%s::uuid[]);

-- name: load_one
-- The same for one stream: a plain look-up takes less time than one by an array, both here and in the driver.
SELECT c.originator_id, c.version, c.choices, c.modified_at, k.key
FROM current_preferences c LEFT JOIN person_keys k USING (originator_id)
WHERE c.originator_id = %s::uuid;

-- name: append
-- The one statement that writes: lock, check, append, project and commit. See the function's own comment.
SELECT append_events(%s::json);

-- name: recorded
-- The events at these versions of these streams. After a lost connection, the id of the event shows whether the commit happened.
SELECT e.originator_id, e.originator_version, e.topic, e.state
FROM unnest(%s::uuid[], %s::bigint[]) AS place (stream, version)
JOIN preferences_events e ON e.originator_id = place.stream AND e.originator_version = place.version;

-- name: changes
-- The newest changes of one stream, by its primary key, backwards.
SELECT originator_id, originator_version, topic, state, sealed_actor, key
FROM events_with_keys
WHERE originator_id = %(stream)s AND originator_version <= %(up_to)s AND topic = %(topic)s
ORDER BY originator_version DESC
LIMIT %(limit)s;
