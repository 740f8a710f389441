-- name: guard
-- One rebuild at a time in the whole database, as long as the connection lives.
SELECT pg_try_advisory_lock(7305114882903);

-- name: create_shadow
-- The live table's twin, without its rows. First removes the table that an interrupted rebuild left.
DROP TABLE IF EXISTS current_preferences_rebuild;
CREATE TABLE current_preferences_rebuild (LIKE current_preferences INCLUDING ALL);
SELECT copy_settings('current_preferences', 'current_preferences_rebuild');

-- name: before_next
-- The beginning of the next stretch. After a continuation of the log there is no event for a quadrillion positions.
SELECT min(notification_id) - 1 FROM preferences_events WHERE notification_id > %s;

-- name: fold
-- Merges the projection of a stretch of the log into the table. Returns how many events and new streams there were, and a stream with a
-- gap, if there is one: a gap must be reported and never hidden. Each stream is looked up by itself: a join with the table would hold the
-- folded rows in memory a second time.
WITH folded AS MATERIALIZED (
    SELECT f.*, f.since = coalesce(c.version, 0) + 1 AND f.events = f.version - f.since + 1 AS whole
    FROM fold_preferences(%(after)s, %(up_to)s, %(part)s, %(parts)s) f
    LEFT JOIN LATERAL (
        SELECT version FROM current_preferences_rebuild WHERE originator_id = f.originator_id OFFSET 0
    ) c ON true
), merged AS (
    INSERT INTO current_preferences_rebuild AS c (originator_id, version, position, modified_at, choices)
    SELECT originator_id, version, position, modified_at, choices FROM folded WHERE whole
    ON CONFLICT (originator_id) DO UPDATE
       SET version = excluded.version, position = excluded.position,
           modified_at = excluded.modified_at, choices = c.choices || excluded.choices
)
SELECT coalesce(sum(events), 0)::bigint, count(*) FILTER (WHERE since = 1), min(originator_id::text) FILTER (WHERE NOT whole)
FROM folded;

-- name: checksum
-- A sum over the rows' hashes, for both tables, so that the order does not matter; with two seeds, 128 bits.
SELECT (SELECT encode(sha256(convert_to(count(*) || ' ' || coalesce(sum(hash_record_extended(t, 1)), 0) || ' '
               || coalesce(sum(hash_record_extended(t, 2)), 0), 'UTF8')), 'hex') FROM current_preferences t),
       (SELECT encode(sha256(convert_to(count(*) || ' ' || coalesce(sum(hash_record_extended(t, 1)), 0) || ' '
               || coalesce(sum(hash_record_extended(t, 2)), 0), 'UTF8')), 'hex') FROM current_preferences_rebuild t);

-- name: differences
-- The streams whose rows differ, with their first events, which name user and organization, and the number of all such streams.
SELECT coalesce(live.originator_id, log.originator_id), live.version, live.choices::text, log.version, log.choices::text,
       e.topic, e.state, e.sealed_actor, e.key, count(*) OVER ()
FROM current_preferences live
FULL JOIN current_preferences_rebuild log USING (originator_id)
LEFT JOIN events_with_keys e
       ON e.originator_id = coalesce(live.originator_id, log.originator_id) AND e.originator_version = 1
WHERE (live.*) IS DISTINCT FROM (log.*)
ORDER BY 1
LIMIT 20;

-- name: hold_tables
-- Readers wait from here to the commit, a few milliseconds.
LOCK TABLE current_preferences, current_preferences_rebuild IN ACCESS EXCLUSIVE MODE;

-- name: in_use
-- The sessions that hold one of our tables for longer than others can wait: a dump, or a transaction that was left open.
SELECT string_agg(DISTINCT format('process %s (%s)', pid, coalesce(nullif(application_name, ''), 'without a name')), ', ')
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE granted AND datname = current_database() AND pid <> pg_backend_pid()
      AND coalesce(xact_start < clock_timestamp() - current_setting('lock_timeout')::interval, true)
      AND relation IN (to_regclass('current_preferences'), to_regclass('current_preferences_rebuild'));

-- name: swap
-- Two renames, which all sessions see at the same moment.
DROP TABLE current_preferences;
ALTER TABLE current_preferences_rebuild RENAME TO current_preferences;
ALTER INDEX current_preferences_rebuild_pkey RENAME TO current_preferences_pkey;
