-- name: hold
-- Processes that write checkpoints wait for each other here, until the transaction ends.
SELECT pg_advisory_xact_lock(7305114882907);

-- name: edge
-- The rightmost tile of each level, each by one probe of the key.
SELECT level, index, hashes, positions
FROM generate_series(0, 7) AS levels (level)
CROSS JOIN LATERAL (
    SELECT index, hashes, positions FROM log_tiles t WHERE t.level = levels.level ORDER BY index DESC LIMIT 1
) rightmost
ORDER BY level;

-- name: tile
-- The hashes of one tile.
SELECT hashes FROM log_tiles WHERE level = %s AND index = %s;

-- name: write_tile
-- Write a tile. If it exists, it was unfinished, and now has more hashes.
INSERT INTO log_tiles (level, index, hashes, positions) VALUES (%s, %s, %s, %s)
ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes, positions = excluded.positions;

-- name: last_checkpoint
-- The newest checkpoint.
SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1;

-- name: keep_checkpoint
-- Store a checkpoint. Each size has only one: a second would be another statement about the same events.
INSERT INTO checkpoints (size, position, root, note, created_at) VALUES (%s, %s, %s, %s, %s);

-- name: leaves
-- The log from a position on, up to another one, in its order. COPY writes a row in exactly the layout of a leaf. COPY takes no parameters.
COPY (
    SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor
    FROM preferences_events
    WHERE notification_id >= {first} AND notification_id <= {last}
    ORDER BY notification_id
    LIMIT {limit}
) TO STDOUT (FORMAT binary);

-- name: invalid_positions
-- Events at positions that can't exist, because positions count from 1. A query of its own, by the index, because all other code compares
-- positions without a sign. It names the first hundred at most. Only a constraint forbids null positions, and a constraint can be
-- dropped.
SELECT coalesce(notification_id, 0) FROM preferences_events
WHERE notification_id < 1 OR notification_id IS NULL
ORDER BY notification_id
LIMIT 100;

-- name: leaf_tiles
-- The tiles of level 0, from one index on to the right.
SELECT index, hashes, positions FROM log_tiles WHERE level = 0 AND index >= %s ORDER BY index;

-- name: tree_size
-- How many events the tiles cover.
SELECT index * 256 + length(hashes) / 32 FROM log_tiles WHERE level = 0 ORDER BY index DESC LIMIT 1;

-- name: notes
-- The checkpoints that cover more events than this, by size.
SELECT size, note FROM checkpoints WHERE size > %s ORDER BY size;

-- name: stream
-- The events of one stream, as they are stored, by its primary key.
SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor
FROM preferences_events
WHERE originator_id = %s
ORDER BY originator_version;

-- name: key
-- The key that opens the actors of a stream, unless the person was erased.
SELECT key FROM person_keys WHERE originator_id = %s;

-- name: first_positions
-- The first position of a tile of level 0, for a search.
SELECT substring(positions FOR 8) FROM log_tiles WHERE level = 0 AND index = %s;

-- name: positions
-- The positions of one tile of level 0.
SELECT positions FROM log_tiles WHERE level = 0 AND index = %s;
