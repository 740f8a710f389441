-- Where each follower of the log stands. Its row is moved in the transaction that its effect is written in.
CREATE TABLE followers (
    name            text        NOT NULL PRIMARY KEY,
    position        bigint      NOT NULL DEFAULT 0 CHECK (position >= 0),
    moved_at        timestamptz NOT NULL DEFAULT now(),
    paused          boolean     NOT NULL DEFAULT false,
    -- The event that it can't handle, and why. No event is passed over, so it stands still until it is resumed.
    failed_position bigint,
    failure         text,
    CHECK ((failed_position IS NULL) = (failure IS NULL))
-- A few rows that are updated all the time: the old versions find room, and are cleared away, within the page.
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
