-- name: schema
-- All objects in the schema of our tables, as kind, name and definition. An index and a constraint are known by their definition and not
-- by their name, because a rebuild puts a copy of a table in place of the table. Settings that an operator may tune (storage parameters,
-- privileges, owners, statistics) are left out. A partitioned table is shown like one table: it has an index or a constraint if each of its
-- partitions has it, and a trigger or a rule if one of them has it.
WITH ours AS (
    SELECT relnamespace AS schema, quote_ident(nspname) || '.' AS prefix
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = to_regclass('schema_migrations')
), tables AS (
    SELECT c.oid, coalesce(whole.relname, c.relname) AS relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relispartition, prefix
    FROM pg_class c JOIN ours ON c.relnamespace = schema
    LEFT JOIN pg_inherits ON inhrelid = c.oid AND c.relispartition
    LEFT JOIN pg_class whole ON whole.oid = inhparent
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relname <> 'current_preferences_rebuild'
), stored AS (
    SELECT *, count(*) OVER (PARTITION BY relname) AS in_all FROM tables WHERE relkind <> 'p'
)
SELECT 'table', relname::text, concat_ws(' ', CASE relpersistence WHEN 'u' THEN 'unlogged' END, CASE WHEN relrowsecurity THEN 'row security' END)
FROM tables WHERE relkind IN ('r', 'p') AND NOT relispartition
UNION ALL
SELECT 'column', relname || '.' || attname,
       concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
                 'default ' || replace(pg_get_expr(adbin, adrelid), prefix, ''))
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
WHERE NOT relispartition
UNION ALL
SELECT 'index', relname, definition
FROM stored JOIN pg_index ON indrelid = stored.oid
CROSS JOIN LATERAL (SELECT replace(regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \S+ ON \S+', 'INDEX ON ' || relname), prefix, '')
                           || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END AS definition) AS shown
GROUP BY relname, definition, in_all HAVING count(DISTINCT stored.oid) = in_all
UNION ALL
SELECT 'constraint', relname, definition
FROM stored JOIN pg_constraint c ON conrelid = stored.oid AND contype <> 'n'
CROSS JOIN LATERAL (SELECT replace(pg_get_constraintdef(c.oid), prefix, '') AS definition) AS shown
GROUP BY relname, definition, in_all HAVING count(DISTINCT stored.oid) = in_all
UNION ALL
SELECT 'trigger', relname || '.' || tgname,
       -- The first positions of the last two partitions.
       replace(regexp_replace(pg_get_triggerdef(t.oid), '''(-?\d+)'', ''(\d+)''', ''), prefix, '') || CASE tgenabled WHEN 'O' THEN '' ELSE ' (' || tgenabled::text || ')' END
FROM tables JOIN pg_trigger t ON tgrelid = tables.oid AND NOT tgisinternal
UNION ALL
SELECT 'rule', relname || '.' || rulename, replace(pg_get_ruledef(r.oid), prefix, '')
FROM tables JOIN pg_rewrite r ON ev_class = tables.oid AND rulename <> '_RETURN'
UNION ALL
SELECT 'view', relname, left(encode(sha256(convert_to(regexp_replace(replace(pg_get_viewdef(oid), prefix, ''), '[\s()]', '', 'g'), 'UTF8')), 'hex'), 16)
FROM tables WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'function', proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', pg_get_function_result(p.oid), lanname, provolatile::text, CASE WHEN prosecdef THEN 'definer' END,
                 array_to_string(proconfig, ' '), left(encode(sha256(convert_to(prosrc, 'UTF8')), 'hex'), 16))
FROM pg_proc p JOIN ours ON pronamespace = schema JOIN pg_language l ON l.oid = prolang;
