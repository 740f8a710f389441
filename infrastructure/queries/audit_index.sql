-- name: find_classes
-- The classes among these that have a number: one look-up in their unique index for each.
SELECT c.class, k.nth::integer
FROM ROWS FROM (json_to_recordset(%s::json)
     AS (organization text, action text, channel text, toggle text, enabled boolean, source text, actor_kind text))
     WITH ORDINALITY AS k (organization, action, channel, toggle, enabled, source, actor_kind, nth)
JOIN audit_classes c
  ON c.organization = k.organization AND c.action = k.action
 AND c.channel IS NOT DISTINCT FROM k.channel AND c.toggle IS NOT DISTINCT FROM k.toggle
 AND c.enabled IS NOT DISTINCT FROM k.enabled AND c.source = k.source AND c.actor_kind = k.actor_kind;

-- name: add_classes
-- Numbers for classes that have none, in the order in which they are given.
INSERT INTO audit_classes (organization, action, channel, toggle, enabled, source, actor_kind)
SELECT organization, action, channel, toggle, enabled, source, actor_kind
FROM ROWS FROM (json_to_recordset(%s::json)
     AS (organization text, action text, channel text, toggle text, enabled boolean, source text, actor_kind text))
     WITH ORDINALITY AS k (organization, action, channel, toggle, enabled, source, actor_kind, nth)
ORDER BY nth
RETURNING class;

-- name: add_entries
-- A whole batch at once.
INSERT INTO audit_entries (position, occurred_at, originator_id, class)
SELECT * FROM json_to_recordset(%s::json)
     AS e (position bigint, occurred_at timestamptz, originator_id uuid, class integer);

-- name: forget
-- What was made of the events after a position. There is no index for it: nobody waits, and it hardly ever happens.
DELETE FROM audit_entries WHERE position > %s;

-- name: empty
-- The same from the very beginning, without leaving dead rows behind. Classes stay: they say nothing by themselves.
TRUNCATE audit_entries;
