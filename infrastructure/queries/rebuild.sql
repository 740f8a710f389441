-- name: guard
-- One rebuild at a time, in the whole database, for as long as the connection lives.
SELECT pg_try_advisory_lock(7305114882903);

-- name: create_shadow
-- The live table's twin, without its rows. What an interrupted rebuild left behind goes first.
DROP TABLE IF EXISTS current_preferences_rebuild;
CREATE TABLE current_preferences_rebuild (LIKE current_preferences INCLUDING ALL);

-- name: end_of_log
-- The last position.
SELECT coalesce(max(notification_id), 0) FROM preferences_events;

-- name: events
-- The log from a position on, in its order.
SELECT notification_id, originator_id, originator_version, topic, state
FROM preferences_events
WHERE notification_id > %s
ORDER BY notification_id;

-- name: fill
-- Rows that can't be there yet.
COPY current_preferences_rebuild (originator_id, organization, user_id, version, choices, modified_at, position) FROM STDIN;

-- name: upsert
-- Rows that may be there.
INSERT INTO current_preferences_rebuild AS c
       (originator_id, organization, user_id, version, choices, modified_at, position)
VALUES (%s, %s, %s, %s, %s::jsonb, %s, %s)
ON CONFLICT (originator_id) DO UPDATE
   SET version = excluded.version, choices = excluded.choices,
       modified_at = excluded.modified_at, position = excluded.position;

-- name: checksum
-- A sum over the rows' hashes, so that no order matters, for both tables; with two seeds, 128 bits.
SELECT (SELECT encode(sha256(convert_to(count(*) || ' ' || coalesce(sum(hash_record_extended(t, 1)), 0) || ' '
               || coalesce(sum(hash_record_extended(t, 2)), 0), 'UTF8')), 'hex') FROM current_preferences t),
       (SELECT encode(sha256(convert_to(count(*) || ' ' || coalesce(sum(hash_record_extended(t, 1)), 0) || ' '
               || coalesce(sum(hash_record_extended(t, 2)), 0), 'UTF8')), 'hex') FROM current_preferences_rebuild t);

-- name: differences
-- The users whose rows differ, and how many there are in all.
SELECT coalesce(live.organization, log.organization), coalesce(live.user_id, log.user_id),
       live.version, live.choices::text, log.version, log.choices::text, count(*) OVER ()
FROM current_preferences live
FULL JOIN current_preferences_rebuild log USING (originator_id)
WHERE (live.*) IS DISTINCT FROM (log.*)
ORDER BY 1, 2
LIMIT 20;

-- name: hold_writers
-- The lock of append_events: whoever appends waits until this transaction ends.
SELECT pg_advisory_xact_lock(7305114882901);

-- name: swap
-- Two renames, seen by everybody at once. Readers wait for no longer than the commit takes.
SET LOCAL lock_timeout = '5s';
DROP TABLE current_preferences;
ALTER TABLE current_preferences_rebuild RENAME TO current_preferences;
ALTER INDEX current_preferences_rebuild_pkey RENAME TO current_preferences_pkey;
