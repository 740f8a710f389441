-- name: find_classes
-- The classes among these that have a number. Choices and other events are looked up apart, because a comparison that takes
-- null for null would have to read all classes of the organization, while these two each find theirs in the unique index.
WITH k AS MATERIALIZED (
    SELECT *
    FROM ROWS FROM (json_to_recordset(%s::json)
         AS (organization text, action text, channel text, toggle text, enabled boolean, source text, actor_kind text))
         WITH ORDINALITY AS k (organization, action, channel, toggle, enabled, source, actor_kind, nth)
)
SELECT c.class, k.nth::integer
FROM k JOIN audit_classes c USING (organization, action, channel, toggle, enabled, source, actor_kind)
UNION ALL
SELECT c.class, k.nth::integer
FROM k JOIN audit_classes c USING (organization, action, source, actor_kind)
WHERE k.channel IS NULL AND c.channel IS NULL AND c.toggle IS NULL AND c.enabled IS NULL;

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
