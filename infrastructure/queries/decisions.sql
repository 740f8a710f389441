-- name: stream_state
-- The same as the next one, for one stream: a plain look-up takes 4 µs less than one by an array.
SELECT uuid_send(originator_id), version, position, (choices -> %s)::boolean
FROM current_preferences
WHERE originator_id = %s::uuid;

-- name: stream_states
-- The state of several streams for one toggle.
SELECT uuid_send(originator_id), version, position, (choices -> %s)::boolean
FROM current_preferences
WHERE originator_id = ANY (%s::uuid[]);

-- name: stream_states_and_end
-- The same with the end of the log, all of one snapshot. The log's writers commit in the order of their positions, so the snapshot has
-- everything up to that end, and nothing later. There is a row even if no stream is found.
SELECT log.position, uuid_send(originator_id), c.version, c.position, (choices -> %s)::boolean
FROM (SELECT coalesce(max(notification_id), 0) AS position FROM preferences_events) AS log
LEFT JOIN current_preferences c ON originator_id = ANY (%s::uuid[]);

-- name: stream_states_of_many
-- All of it packed into one value, because a client takes longer for ten thousand rows than the database takes to find them: for each
-- stream 16 bytes of its id, 8 of its version, 8 of the position of its last event, 1 of the choice, where 2 is none. For a single
-- stream, rows are faster.
SELECT coalesce((SELECT max(notification_id) FROM preferences_events), 0),
       coalesce(string_agg(uuid_send(originator_id) || int8send(version) || int8send(position)
                           || CASE choices -> %s WHEN 'true' THEN '\x01'::bytea WHEN 'false' THEN '\x00' ELSE '\x02' END,
                           ''), '')
FROM current_preferences
WHERE originator_id = ANY (%s::uuid[]);

-- name: evidence
-- One user's stream, the catalogue's and that of the log itself, each by its primary key, and the end of the log, all of one snapshot.
-- The keys are included, because an explanation names who made the choice. There is a row even if no event is found.
SELECT coalesce((SELECT max(notification_id) FROM preferences_events), 0), e.*
FROM (VALUES (1)) AS always
LEFT JOIN (
    SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor, key
    FROM events_with_keys
    WHERE originator_id = ANY (%s)
) AS e ON true
ORDER BY e.originator_version;
