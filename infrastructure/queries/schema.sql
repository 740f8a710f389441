-- name: schema
-- All objects in the schema of our tables, as kind, name and definition. An index and a constraint are known by their definition and not
-- by their name, because a rebuild puts a copy of a table in place of the table. Settings that an operator may tune (storage parameters,
-- privileges, owners, statistics) are left out.
WITH ours AS (
    SELECT relnamespace AS schema, quote_ident(nspname) || '.' AS prefix
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = to_regclass('schema_migrations')
), tables AS (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, prefix
    FROM pg_class c JOIN ours ON relnamespace = schema
    WHERE relkind IN ('r', 'p', 'v', 'm') AND relname <> 'current_preferences_rebuild'
)
SELECT 'table', relname::text, concat_ws(' ', CASE relpersistence WHEN 'u' THEN 'unlogged' END, CASE WHEN relrowsecurity THEN 'row security' END)
FROM tables WHERE relkind IN ('r', 'p')
UNION ALL
SELECT 'column', relname || '.' || attname,
       concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
                 'default ' || replace(pg_get_expr(adbin, adrelid), prefix, ''))
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
UNION ALL
SELECT 'index', relname,
       replace(regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \S+ ON ', 'INDEX ON '), prefix, '')
       || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END
FROM tables JOIN pg_index ON indrelid = tables.oid
UNION ALL
SELECT 'constraint', relname, replace(pg_get_constraintdef(c.oid), prefix, '')
FROM tables JOIN pg_constraint c ON conrelid = tables.oid AND contype <> 'n'
UNION ALL
SELECT 'trigger', relname || '.' || tgname,
       replace(pg_get_triggerdef(t.oid), prefix, '') || CASE tgenabled WHEN 'O' THEN '' ELSE ' (' || tgenabled::text || ')' END
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
