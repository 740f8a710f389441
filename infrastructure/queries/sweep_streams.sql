-- name: hold
-- Taken before the snapshot: a rebuild puts another table in the place of the current preferences.
LOCK TABLE current_preferences, person_keys IN ACCESS SHARE MODE;

-- name: last
-- The stream at which a step ends: the stream of the event so many events after the step's first stream, by the primary key.
SELECT originator_id FROM preferences_events WHERE originator_id >= %(first)s
ORDER BY originator_id, originator_version OFFSET %(limit)s - 1 LIMIT 1;

-- name: streams
-- Each stream of a range, and each row and key that exists for one: its state by the log, whether the current preferences agree, and the
-- key with two of the events that it must open: the first and the last sealed one since the person was erased.
SELECT originator_id, since, f.version, events, c.version,
       (f.version, f.position, f.modified_at, f.choices) IS DISTINCT FROM (c.version, c.position, c.modified_at, c.choices),
       k.since_version, k.key, sealed[nth], event_ids[nth], actors[nth],
       CASE WHEN nth < cardinality(sealed) THEN event_ids[cardinality(sealed)] END, actors[cardinality(sealed)]
FROM (SELECT *, 1 + coalesce(width_bucket(erased, sealed), 0) AS nth FROM fold_streams(%(first)s, %(last)s)) f
FULL JOIN (SELECT * FROM current_preferences WHERE originator_id >= %(first)s AND originator_id <= %(last)s) c
    USING (originator_id)
FULL JOIN (SELECT * FROM person_keys WHERE originator_id >= %(first)s AND originator_id <= %(last)s) k
    USING (originator_id);
