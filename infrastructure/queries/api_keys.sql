-- name: create
-- Everything but the key itself.
INSERT INTO api_keys (id, organization, label, scopes, prefix, digest)
VALUES (%(id)s, %(organization)s, %(label)s, %(scopes)s, %(prefix)s, %(digest)s);

-- name: find
-- A key by its digest. Its last use is noted, but not more often than once a minute: a note is a write.
WITH used AS (
    UPDATE api_keys SET last_used_at = now()
    WHERE digest = %(digest)s AND revoked_at IS NULL
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
)
SELECT id, organization, label, scopes FROM api_keys WHERE digest = %(digest)s AND revoked_at IS NULL;

-- name: list
-- All keys, or those of one organization, newest first.
SELECT id, organization, label, scopes, prefix, created_at, last_used_at, revoked_at
FROM api_keys
WHERE %(organization)s::text IS NULL OR organization = %(organization)s
ORDER BY created_at DESC, id;

-- name: revoke
-- At once and for good. A second time changes nothing and finds nothing.
UPDATE api_keys SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL RETURNING id;
