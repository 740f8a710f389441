-- name: hold
-- Where the index stands, and there it stays until the end of this transaction: neither the follower nor somebody who sets it back
-- writes meanwhile.
SELECT position FROM followers WHERE name = 'audit-index' FOR UPDATE;

-- name: remove
-- What the index has of a stretch, whatever it is.
DELETE FROM audit_entries WHERE position > %(after)s AND position <= %(up_to)s;

-- name: index
-- What it must have. See the function's own comment.
SELECT index_events(%(after)s, %(up_to)s);

-- name: remove_outside
-- Entries where no event can be.
DELETE FROM audit_entries WHERE position < 1 OR position > %(stands_at)s;
