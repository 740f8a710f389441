-- name: look
-- How far the log goes, how much of the WAL is on this server's disk, and how much of it enough synchronous standbys have on theirs. The
-- statement's snapshot shows the log's end before the rest is read, and a commit is on the disk before it is visible. So when the standbys
-- have what was on the disk, they have the log up to that end. The n-th furthest standby counts, of the n that a commit waits for: PostgreSQL
-- itself counts in the same way. Nothing is known on a server that takes no writes. The start of the server says which one it is: a standby
-- is promoted at most once in a run. The function is the one below pg_stat_replication, a view that also reads all sessions and roles and takes
-- more than twice as long. Never prepared: a plan made while the log was empty would scan for ever.
SELECT pg_postmaster_start_time()::text,
       (SELECT coalesce(max(notification_id), 0) FROM preferences_events),
       CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint END,
       (SELECT (flush_lsn - '0/0'::pg_lsn)::bigint
        FROM pg_stat_get_wal_senders()
        WHERE sync_state IN ('sync', 'quorum')
        ORDER BY flush_lsn DESC NULLS LAST
        OFFSET coalesce(substring(current_setting('synchronous_standby_names')
                                  FROM '(?i)^\s*(?:(?:first|any)\s+)?(\d+)\s*\(')::int, 1) - 1
        LIMIT 1);

-- name: status
-- The synchronous standbys that are connected, how many of them a commit waits for (none if there is no list of them), and the bytes of the
-- WAL that they have not confirmed.
SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')), wanted.number,
       CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_flush_lsn() - (
           SELECT flush_lsn FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')
           ORDER BY flush_lsn DESC NULLS LAST OFFSET greatest(wanted.number, 1) - 1 LIMIT 1
       ))::bigint END
FROM (SELECT CASE WHEN current_setting('synchronous_standby_names') = '' THEN 0
                  ELSE coalesce(substring(current_setting('synchronous_standby_names')
                                          FROM '(?i)^\s*(?:(?:first|any)\s+)?(\d+)\s*\(')::int, 1)
             END AS number) AS wanted
LEFT JOIN pg_stat_replication ON true
GROUP BY wanted.number;
