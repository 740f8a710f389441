-- name: readiness
-- All that a process asks its database before it serves, at once: whether the server refuses writes (a standby, or because an operator
-- has set it so), the rights that its role lacks (rights.sql), the migrations (an earlier release made their table without its last
-- column), and the catalogue's stream, by its primary key, oldest first.
SELECT current_setting('transaction_read_only')::boolean, ({lacking}), migrated.applied,
       c.originator_id, c.originator_version, c.topic, c.state
FROM (SELECT json_agg(json_build_array(number, checksum, to_jsonb(m) -> 'leaves_working')) AS applied
      FROM schema_migrations m) migrated
LEFT JOIN preferences_events c ON c.originator_id = %(stream)s
ORDER BY c.originator_version;
