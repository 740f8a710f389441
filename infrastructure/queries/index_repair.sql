-- name: hold
-- The index's position, which stays the same until the end of this transaction: neither the follower nor a reset writes meanwhile.
SELECT position FROM followers WHERE name = 'audit-index' FOR UPDATE;

-- name: remove
-- Remove all entries of a stretch, whatever they contain.
DELETE FROM audit_entries WHERE position > %(after)s AND position <= %(up_to)s;

-- name: remove_outside
-- Entries at positions that can't have one.
DELETE FROM audit_entries WHERE position < 1 OR position > %(stands_at)s;
