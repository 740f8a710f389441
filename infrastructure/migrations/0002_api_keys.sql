-- Keys of organizations. Only the SHA-256 of a key is kept: a key has 190 bits of chance in it, so a slow hash would
-- cost every request and protect nothing more.
CREATE TABLE api_keys (
    id           uuid        NOT NULL PRIMARY KEY,
    organization text        NOT NULL,
    label        text        NOT NULL,
    scopes       text[]      NOT NULL,
    prefix       text        NOT NULL,
    digest       bytea       NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
