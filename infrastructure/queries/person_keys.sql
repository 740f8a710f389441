-- name: sealed
-- Every event that is sealed and every erasure, stream by stream and version by version, with the stream's key as it is kept.
-- Both tables have this order in their primary keys, so nothing is sorted where `enable_sort` is off.
SELECT e.originator_id, k.key, k.since_version, e.originator_version, e.topic = 'notification-preferences.erased',
       e.sealed_actor, CASE WHEN e.sealed_actor <> '' THEN e.state END
FROM preferences_events e LEFT JOIN person_keys k ON k.originator_id = e.originator_id
WHERE e.sealed_actor <> '' OR e.topic = 'notification-preferences.erased'
ORDER BY e.originator_id, e.originator_version;

-- name: sealed_of_stream
-- The same for one stream.
SELECT e.originator_id, k.key, k.since_version, e.originator_version, e.topic = 'notification-preferences.erased',
       e.sealed_actor, CASE WHEN e.sealed_actor <> '' THEN e.state END
FROM preferences_events e LEFT JOIN person_keys k ON k.originator_id = e.originator_id
WHERE e.originator_id = %s AND (e.sealed_actor <> '' OR e.topic = 'notification-preferences.erased')
ORDER BY e.originator_version;

-- name: without_events
-- Keys of streams in which nothing was ever sealed: they can open nothing, and a stream that begins can't keep a key of its own.
SELECT k.originator_id, k.key, k.since_version
FROM person_keys k
WHERE NOT EXISTS (
    SELECT FROM preferences_events e
    WHERE e.originator_id = k.originator_id AND (e.sealed_actor <> '' OR e.topic = 'notification-preferences.erased')
);

-- name: count
-- About how many events there are: for a progress bar.
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'preferences_events'::regclass;

-- name: hold_appends
-- The lock that `append_events` takes: until the transaction's end nothing is appended, and no key is kept.
SELECT pg_advisory_xact_lock(7305114882901);

-- name: key
-- A stream's key as it is kept, which an erasure may be destroying: whoever is first makes the other one wait.
SELECT key, since_version FROM person_keys WHERE originator_id = %s FOR UPDATE;

-- name: keep
-- Put a stream's own key in its place.
INSERT INTO person_keys (originator_id, since_version, key) VALUES (%s, %s, %s)
ON CONFLICT (originator_id) DO UPDATE SET since_version = excluded.since_version, key = excluded.key;

-- name: destroy
-- A key that opens nothing, or only what was erased.
DELETE FROM person_keys WHERE originator_id = %s;
