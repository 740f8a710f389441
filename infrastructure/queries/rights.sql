-- name: lacking
-- The rights that the role lacks, of those that these parts of the service use, in one sentence. Null if it has all of them. It needs no
-- right itself. What doesn't exist is left out: a migration makes it.
SELECT 'the role ' || current_user || ' lacks ' || string_agg(missing, '; ')
FROM (
    SELECT privilege || ' on ' || string_agg(DISTINCT object, ', ') AS missing
    FROM (VALUES
        ('serve', 'SELECT', '{schema_migrations, preferences_events, events_with_keys, current_preferences, person_keys, api_keys, log_servers,
                              followers, audit_classes, audit_entries, audit_daily_counts, audit_uncounted, audit_reads, log_tiles,
                              checkpoints, sweep, sweep_findings}'::text[]),
        ('serve', 'INSERT', '{preferences_events, current_preferences, person_keys, audit_reads, log_servers}'),
        ('serve', 'UPDATE', '{current_preferences, audit_reads.count, audit_reads.outcome, api_keys.last_used_at}'),
        ('serve', 'USAGE', '{preferences_events_notification_id_seq}'),
        ('serve', 'EXECUTE', '{append_events, fold_preferences, string_in, boolean_in, refuse_another_server, log_is_at_home, log_server,
                               set_sequence_forward, give_up_closing, log_about}'),
        ('follow', 'SELECT', '{schema_migrations, preferences_events, log_servers, followers, audit_classes, audit_entries,
                               audit_daily_counts, audit_uncounted}'),
        ('follow', 'INSERT', '{preferences_events, log_servers, followers, audit_classes, audit_entries, audit_daily_counts}'),
        ('follow', 'UPDATE', '{followers, audit_daily_counts, audit_uncounted}'),
        ('follow', 'USAGE', '{preferences_events_notification_id_seq, audit_classes_class_seq}'),
        ('follow', 'EXECUTE', '{index_events, audit_shapes, audit_class, string_in, boolean_in, count_entries, log_is_at_home, log_server,
                                give_up_closing}'),
        ('sign', 'SELECT', '{preferences_events, log_tiles, checkpoints}'),
        ('sign', 'INSERT', '{log_tiles, checkpoints}'),
        ('sign', 'UPDATE', '{log_tiles}'),
        ('sweep', 'SELECT', '{preferences_events, current_preferences, person_keys, audit_classes, audit_entries, audit_daily_counts,
                              audit_uncounted, followers, log_tiles, checkpoints, sweep, sweep_findings}'),
        ('sweep', 'INSERT', '{sweep, sweep_findings}'),
        ('sweep', 'UPDATE', '{sweep, sweep_findings}'),
        ('sweep', 'EXECUTE', '{audit_rows, audit_class, fold_streams, string_in, boolean_in, log_about}')
    ) AS used (part, privilege, objects)
    CROSS JOIN LATERAL unnest(objects) AS object
    CROSS JOIN LATERAL split_part(object, '.', 1) AS relation
    CROSS JOIN LATERAL nullif(split_part(object, '.', 2), '') AS column_name
    WHERE part = ANY (%(parts)s) AND NOT CASE
        WHEN privilege = 'EXECUTE' THEN has_function_privilege(to_regproc(object), 'EXECUTE')
        WHEN privilege = 'USAGE' THEN has_sequence_privilege(to_regclass(object), 'USAGE')
        WHEN column_name IS NULL THEN has_table_privilege(to_regclass(object), privilege)
        ELSE has_column_privilege(to_regclass(relation), column_name, privilege)
    END
    GROUP BY privilege
    ORDER BY privilege
) AS of_privilege;
