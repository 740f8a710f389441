-- name: index
-- The entries of the events between two positions, made by the database itself. See the function's own comment.
SELECT index_events(%s, %s);

-- name: forget
-- What was made of the events after a position, found by the index that knows in which pages they are.
DELETE FROM audit_entries WHERE position > %s;

-- name: empty
-- The same from the very beginning, without leaving dead rows behind. Classes stay: they say nothing by themselves.
TRUNCATE audit_entries;
