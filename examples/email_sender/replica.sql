-- How far the replica is, in one row: the position in the service's log, the sequence in the stream, and the moment
-- (seconds since 1970) at which it was last known to hold everything.
CREATE TABLE IF NOT EXISTS place (
    one        integer PRIMARY KEY CHECK (one = 1),
    position   integer NOT NULL,
    sequence   integer NOT NULL,
    current_at real    NOT NULL
) STRICT;
INSERT OR IGNORE INTO place VALUES (1, 0, 0, 0);

-- Positions that the log has lost in a failover: the stream still has their events, which are left out.
CREATE TABLE IF NOT EXISTS lost (
    previous_end integer NOT NULL,
    position     integer PRIMARY KEY
) STRICT;

-- The last version of each stream, which counts 1, 2, 3: a gap shows that something is missing.
CREATE TABLE IF NOT EXISTS streams (
    key     text PRIMARY KEY,
    version integer NOT NULL
) STRICT, WITHOUT ROWID;

-- What was chosen. It stays when the person is forgotten: an opt-out must outlast its name.
CREATE TABLE IF NOT EXISTS choices (
    key     text    NOT NULL,
    channel text    NOT NULL,
    toggle  text    NOT NULL,
    enabled integer NOT NULL,
    PRIMARY KEY (key, channel, toggle)
) STRICT, WITHOUT ROWID;

-- The only place with anything personal. It serves to list recipients, and no decision needs it.
CREATE TABLE IF NOT EXISTS names (
    key          text PRIMARY KEY,
    organization text,
    user         text NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest catalogue.
CREATE TABLE IF NOT EXISTS catalogue (
    channel   text    NOT NULL,
    toggle    text    NOT NULL,
    default_  integer NOT NULL,
    mandatory integer NOT NULL,
    PRIMARY KEY (channel, toggle)
) STRICT, WITHOUT ROWID;
