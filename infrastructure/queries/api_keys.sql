-- name: create
-- Store everything but the key itself.
INSERT INTO api_keys (id, organization, label, scopes, prefix, digest)
VALUES (%(id)s, %(organization)s, %(label)s, %(scopes)s, %(prefix)s, %(digest)s);

-- name: find
-- Find a key by its digest. Records the last use, but at most once a minute, because that is a write. A last use in the future was dated by
-- a clock that has been set back since.
WITH used AS (
    UPDATE api_keys SET last_used_at = now()
    WHERE digest = %(digest)s AND revoked_at IS NULL
      AND (last_used_at IS NULL OR last_used_at NOT BETWEEN now() - interval '1 minute' AND now() + interval '1 minute')
)
SELECT id, organization, label, scopes FROM api_keys WHERE digest = %(digest)s AND revoked_at IS NULL;

-- name: list
-- All keys, or those of one organization, newest first.
SELECT id, organization, label, scopes, prefix, created_at, last_used_at, revoked_at
FROM api_keys
WHERE %(organization)s::text IS NULL OR organization = %(organization)s
ORDER BY created_at DESC, id;

-- name: revoke
-- Revoke a key, at once and for good. A second call changes nothing and returns no row.
UPDATE api_keys SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL RETURNING id;
