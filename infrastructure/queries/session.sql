-- name: begin
-- The settings of a session, set in one statement once it has begun, because a pooler refuses settings at the start of a session. A
-- database or a role may be set to acknowledge a commit before it is on the disk. But our answer promises that it is on the disk. Whether
-- a commit also waits for standbys is the operator's choice, and stays.
SELECT set_config(name, setting, false)
FROM unnest(%(names)s::text[], %(settings)s::text[]) AS wanted (name, setting)
UNION ALL
SELECT set_config('synchronous_commit', 'on', false)
WHERE %(durable)s AND current_setting('synchronous_commit') IN ('off', 'local');
