-- name: begin
-- What a session needs, set at once, after it has begun: a pooler refuses what comes with the start of it. A database, or a
-- role, may acknowledge a commit before it is on the disk: an answer of ours means that it is. What waits for standbys as well
-- is the operator's choice, and stays.
SELECT set_config(name, setting, false)
FROM unnest(%(names)s::text[], %(settings)s::text[]) AS wanted (name, setting)
UNION ALL
SELECT set_config('synchronous_commit', 'on', false)
WHERE %(durable)s AND current_setting('synchronous_commit') IN ('off', 'local');
