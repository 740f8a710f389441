-- name: index
-- Make the entries of the events between two positions, within the database. See the function's own comment.
SELECT index_events(%s, %s);

-- name: forget
-- Remove the entries of all events after a position. The index on positions finds their pages.
DELETE FROM audit_entries WHERE position > %s;

-- name: empty
-- The same for all events, without leaving dead rows. The classes stay, because they say nothing by themselves.
TRUNCATE audit_entries;
