-- name: primary
-- Which server and which log this is, how far the server has written its WAL, and where the log was last continued. No place in the WAL if it
-- takes no writes: then it is not the primary. Object identifiers are the same on a standby, which is a copy of the primary's files.
SELECT system_identifier, concat_ws('/', (SELECT oid FROM pg_database WHERE datname = current_database())::bigint,
                                    'preferences_events'::regclass::oid::bigint),
       CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_lsn() - '0/0')::bigint END,
       (SELECT max(since) FROM log_servers)
FROM pg_control_system();

-- name: standby
-- The same of a standby, which has replayed the WAL up to this place. No place if it takes writes: then it is no standby. The place may be
-- newer than this statement's snapshot, but every later statement sees all that lies before it.
SELECT system_identifier, concat_ws('/', (SELECT oid FROM pg_database WHERE datname = current_database())::bigint,
                                    'preferences_events'::regclass::oid::bigint),
       CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END,
       (SELECT max(since) FROM log_servers)
FROM pg_control_system();

-- name: unreadable
-- The tables that the role may not read, of those that are read on a standby.
SELECT string_agg(relname, ', ' ORDER BY relname)
FROM pg_class
WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'preferences_events'::regclass)
  AND relname IN ('preferences_events', 'person_keys', 'current_preferences', 'followers', 'audit_classes', 'audit_entries',
                  'audit_daily_counts', 'audit_uncounted', 'log_servers', 'log_tiles', 'checkpoints')
  AND NOT has_table_privilege(oid, 'SELECT');
