-- name: sealed
-- Every sealed event and every erasure, stream by stream and version by version, with the stream's stored key. Both tables have this
-- order in their primary keys, so nothing is sorted if `enable_sort` is off.
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
-- Keys of streams without any sealed event. Such a key opens nothing, and it prevents a new stream from storing a key of its own.
SELECT k.originator_id, k.key, k.since_version
FROM person_keys k
WHERE NOT EXISTS (
    SELECT FROM preferences_events e
    WHERE e.originator_id = k.originator_id AND (e.sealed_actor <> '' OR e.topic = 'notification-preferences.erased')
);

-- name: key
-- A stream's stored key. An erasure may be destroying it at this moment: the first of the two makes the other one wait.
SELECT key, since_version FROM person_keys WHERE originator_id = %s FOR UPDATE;

-- name: keep
-- Store the stream's own key.
INSERT INTO person_keys (originator_id, since_version, key) VALUES (%s, %s, %s)
ON CONFLICT (originator_id) DO UPDATE SET since_version = excluded.since_version, key = excluded.key;

-- name: destroy
-- Remove a key that opens nothing, or only erased actors.
DELETE FROM person_keys WHERE originator_id = %s;
