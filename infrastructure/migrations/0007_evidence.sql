-- The Merkle tree over the log, in tiles of 256 hashes: level 0 holds those of the events in the order of the log, each
-- higher level the roots of full tiles below. The rightmost tile of a level may be unfinished. Level 0 keeps the events'
-- positions, too, 8 bytes each, so that one that is gone can be named.
--
-- Hashes don't compress, and PostgreSQL would try: EXTERNAL keeps it from that.
CREATE TABLE log_tiles (
    level     smallint NOT NULL,
    index     bigint   NOT NULL,
    hashes    bytea    NOT NULL,
    positions bytea,
    PRIMARY KEY (level, index)
);
ALTER TABLE log_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL, ALTER COLUMN positions SET STORAGE EXTERNAL;

-- What was signed. The note is the evidence; the other columns only say what stands in it.
CREATE TABLE checkpoints (
    size       bigint      NOT NULL PRIMARY KEY,
    position   bigint      NOT NULL,
    root       bytea       NOT NULL,
    note       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
