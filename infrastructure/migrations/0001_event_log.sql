-- The log. Its columns are those of the eventsourcing library's PostgreSQL recorder, so that the library's own
-- applications and projections can read what this service writes. They stand in an order that needs no padding.
CREATE TABLE preferences_events (
    originator_id      uuid   NOT NULL,
    originator_version bigint NOT NULL,
    notification_id    bigserial,
    state              bytea  NOT NULL,
    topic              text   NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    -- Rows are never updated or deleted: what matters is that inserts keep the statistics and the visibility map fresh.
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02
);

CREATE UNIQUE INDEX preferences_events_notification_id_idx ON preferences_events (notification_id);

-- The read model, and the snapshot that changes are decided from: one row per stream, explicit choices only.
-- A part of every page is left free, so that an update finds room beside the old row and touches no index.
CREATE TABLE current_preferences (
    originator_id uuid        NOT NULL PRIMARY KEY,
    organization  text,
    user_id       text        NOT NULL,
    version       bigint      NOT NULL,
    choices       jsonb       NOT NULL,
    modified_at   timestamptz NOT NULL,
    position      bigint      NOT NULL
) WITH (fillfactor = 70);

-- Appends to several streams and updates their rows, all in the statement's own transaction. Answers with the streams
-- that were appended to; one that no longer stands at its expected version is left out, and hinders nobody.
--
-- The lock is what makes the log readable by position. Ids come from a sequence when a row is inserted, but rows become
-- visible at commit; without the lock a later id can be seen before an earlier one, a reader that tails the log passes
-- over the earlier one, and never sees it. With it, whoever holds it gets its ids and commits before the next one gets
-- any. It is an advisory lock and not LOCK TABLE, because autovacuum would have to be cancelled for the latter, and it
-- is taken in here and not by the client, so that no round trip is ever spent holding it. The library's own writers
-- lock the table instead; the INSERT below waits for them, so both kinds can write side by side.
--
-- plpgsql takes a new snapshot for each statement: the versions are read as they are after the wait for the lock.
--
-- The batch is one JSON document, because a client makes one in a thirtieth of the time that it needs for arrays. It is
-- json and not jsonb, because json keeps the text of each event's state to the byte, and that is what is stored.
CREATE FUNCTION append_events(batch json) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(7305114882901);
    RETURN QUERY
    WITH appends AS MATERIALIZED (
        SELECT a.*
        FROM json_to_recordset(batch -> 'streams')
             AS a (stream uuid, expected_version bigint, organization text, user_id text, version bigint,
                   choices jsonb, modified_at timestamptz)
        LEFT JOIN current_preferences c ON c.originator_id = a.stream
        WHERE coalesce(c.version, 0) = a.expected_version
    ), appended AS (
        INSERT INTO preferences_events (originator_id, originator_version, topic, state)
        SELECT e.stream, e.version, e.topic, convert_to(e.state::text, 'UTF8')
        FROM ROWS FROM (json_to_recordset(batch -> 'events') AS (stream uuid, version bigint, topic text, state json))
             WITH ORDINALITY AS e (stream, version, topic, state, ordinal)
        JOIN appends a ON a.stream = e.stream
        ORDER BY e.ordinal
        RETURNING originator_id, notification_id
    )
    INSERT INTO current_preferences AS c
           (originator_id, organization, user_id, version, choices, modified_at, position)
    SELECT a.stream, a.organization, a.user_id, a.version, a.choices, a.modified_at, p.position
    FROM appends a
    JOIN (SELECT originator_id, max(notification_id) AS position FROM appended GROUP BY originator_id) p
      ON p.originator_id = a.stream
    ON CONFLICT (originator_id) DO UPDATE
       SET version = excluded.version, choices = excluded.choices,
           modified_at = excluded.modified_at, position = excluded.position
    RETURNING c.originator_id;
END
$$;
