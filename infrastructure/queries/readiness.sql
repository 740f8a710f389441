-- name: readiness
-- All that a process is asked of its database before it gets requests, at once: whether writes are refused (on a standby, and
-- where an operator said so), what was migrated, and the catalogue's stream, by its primary key, oldest first.
SELECT current_setting('transaction_read_only')::boolean, migrated.rows,
       c.originator_id, c.originator_version, c.topic, c.state
FROM (SELECT json_object_agg(number, to_jsonb(m)) AS rows FROM schema_migrations m) migrated
LEFT JOIN preferences_events c ON c.originator_id = %s
ORDER BY c.originator_version;
