-- name: record
-- Record who reads what. `count` and `outcome` are null while they are unknown.
INSERT INTO audit_reads (id, at, organization, reader, impersonator, reader_stream, action, filter, count, outcome, request_id)
VALUES (%(id)s, %(at)s, %(organization)s, %(reader)s, %(impersonator)s, %(reader_stream)s, %(action)s, %(filter)s::jsonb,
        %(count)s, %(outcome)s, %(request_id)s);

-- name: end
-- Record how a long reading ended.
UPDATE audit_reads SET count = %(count)s, outcome = %(outcome)s WHERE id = %(id)s;

-- name: list
-- The readings in an organization, newest first, below the last one of the page before. Without an organization: those by users or keys
-- that belong to none.
SELECT id, at, reader, impersonator, action, filter, count, outcome, request_id
FROM audit_reads
WHERE (organization = %(organization)s OR (%(organization)s::text IS NULL AND organization IS NULL))
  AND (%(before)s::text IS NULL OR id < %(before)s)
ORDER BY id DESC
LIMIT %(limit)s;

-- name: erase_reader
-- A part of erasing a person: it can no longer be seen that this person was the reader. What was read stays.
UPDATE audit_reads SET reader = 'erased', impersonator = NULL WHERE reader_stream = %(stream)s AND reader <> 'erased'
RETURNING true;
