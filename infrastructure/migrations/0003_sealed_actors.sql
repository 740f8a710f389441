-- Who acted is sealed: encrypted under a key of that person alone, and kept beside the event instead of in it. Destroying
-- the key is what erases a person, while the log, and everything that proves it, stays as it is.
-- The default is what the eventsourcing library's own writers leave behind.
ALTER TABLE preferences_events ADD COLUMN sealed_actor bytea NOT NULL DEFAULT '';

-- A key is for the events from a version on: who comes back after an erasure gets a new one, which opens nothing of before.
CREATE TABLE person_keys (
    originator_id uuid   NOT NULL PRIMARY KEY,
    since_version bigint NOT NULL,
    key           bytea  NOT NULL
);

-- The log with the keys that its actors were sealed under, as far as they still exist. Whoever reads events reads them here.
CREATE VIEW events_with_keys AS
SELECT e.*, k.key
FROM preferences_events e
LEFT JOIN person_keys k ON k.originator_id = e.originator_id AND k.since_version <= e.originator_version;

-- The read model without the names of those it is about: a stream's id is derived from them, so nobody needs to ask here.
-- Made anew, because a column that is only dropped stays on disk.
CREATE TABLE nameless_preferences (
    originator_id uuid        NOT NULL PRIMARY KEY,
    version       bigint      NOT NULL,
    position      bigint      NOT NULL,
    modified_at   timestamptz NOT NULL,
    choices       jsonb       NOT NULL
) WITH (fillfactor = 70);
INSERT INTO nameless_preferences
SELECT originator_id, version, position, modified_at, choices FROM current_preferences;
DROP TABLE current_preferences;
ALTER TABLE nameless_preferences RENAME TO current_preferences;
ALTER INDEX nameless_preferences_pkey RENAME TO current_preferences_pkey;

-- The string under a name in an event's state, wherever it stands. It is cut out, since to parse the whole state costs four
-- times as much: in compact JSON without any escape (`plain`), a quote can only begin or end a string, so `"name":"` is the name
-- itself. What is written otherwise is parsed.
CREATE FUNCTION string_in(state text, plain boolean, name text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        CASE WHEN plain THEN nullif(split_part(split_part(state, '"' || name || '":"', 2), '"', 1), '') END,
        jsonb_path_query_first(state::jsonb, ('$.**."' || name || '"')::jsonpath) #>> '{}'
    )
$$;

-- The same for a boolean.
CREATE FUNCTION boolean_in(state text, plain boolean, name text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE CASE WHEN plain THEN left(split_part(state, '"' || name || '":', 2), 4) END
           WHEN 'true' THEN true
           WHEN 'fals' THEN false
           ELSE (state::jsonb ->> name)::boolean END
$$;

-- The projection to current preferences: what the events between two positions make of each stream. The live path merges it
-- into the rows in the append's own transaction, and a rebuild into an empty table, so both say the same.
--
-- `since` is the first version folded and `events` their number: together with the version that a row has, they tell a gap.
-- Of `parts` parts (a power of two) only the streams of one are folded, so that several connections can share the work.
-- The subqueries are kept apart by OFFSET 0: each event is read once, and what is sorted is small.
CREATE FUNCTION fold_preferences(after bigint, up_to bigint, part integer DEFAULT 0, parts integer DEFAULT 1)
RETURNS TABLE (originator_id uuid, since bigint, version bigint, events bigint, "position" bigint,
               modified_at timestamptz, choices jsonb)
LANGUAGE sql STABLE AS $$
    SELECT originator_id, min(originator_version), max(originator_version), count(*), max(notification_id),
           max(occurred_at COLLATE "C")::timestamptz,
           coalesce(jsonb_object_agg(path, enabled) FILTER (WHERE path IS NOT NULL), '{}')
    FROM (
        SELECT originator_id, originator_version, notification_id, string_in(event, plain, '_data_') AS occurred_at,
               CASE WHEN chosen THEN string_in(event, plain, 'channel') || '.' || string_in(event, plain, 'toggle') END AS path,
               CASE WHEN chosen THEN boolean_in(event, plain, 'enabled') END AS enabled
        FROM (
            SELECT originator_id, originator_version, notification_id, convert_from(state, 'UTF8') AS event,
                   position('\x5c'::bytea IN state) = 0 AS plain,
                   topic = 'notification-preferences.toggled' AS chosen
            FROM preferences_events
            WHERE notification_id > after AND notification_id <= up_to
              AND (parts = 1 OR uuid_hash(originator_id) & (parts - 1) = part)
              AND topic IN ('notification-preferences.opened', 'notification-preferences.toggled',
                            'notification-preferences.erased')
            OFFSET 0
        ) AS found
        ORDER BY originator_id, originator_version
        OFFSET 0
    ) AS ordered
    GROUP BY originator_id
$$;

-- Appends to several streams and projects what was appended, all in the statement's own transaction. Answers with the streams
-- that were appended to; one that no longer stands at its expected version is left out, and hinders nobody. Why it takes its lock
-- here, and why the batch is json: see 0001, whose function this replaces.
--
-- The plans inside must hold for any size of the tables: no sequential scan, though the log may have been empty when the plan was
-- made; no plan of its own for each batch, though positions are thought to span half a percent of the log; and one look-up for each
-- stream (LATERAL, OFFSET 0), never a join with all that there are.
-- Whoever follows the log is woken at commit. A notification takes a lock of the whole cluster until then, which costs
-- nothing here, where the writers stand in line anyway.
CREATE OR REPLACE FUNCTION append_events(batch json) RETURNS SETOF uuid
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    first_position bigint;
    last_position  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7305114882901);
    WITH appends AS MATERIALIZED (
        SELECT a.*
        FROM json_to_recordset(batch -> 'streams') AS a (stream uuid, expected_version bigint, new_key text)
        LEFT JOIN LATERAL (
            SELECT version FROM current_preferences WHERE originator_id = a.stream OFFSET 0
        ) AS c ON true
        WHERE coalesce(c.version, 0) = a.expected_version
    ), keys AS (
        INSERT INTO person_keys (originator_id, since_version, key)
        SELECT stream, expected_version + 1, decode(new_key, 'base64') FROM appends WHERE new_key IS NOT NULL
    ), appended AS (
        INSERT INTO preferences_events (originator_id, originator_version, topic, state, sealed_actor)
        SELECT e.stream, e.version, e.topic, convert_to(e.state::text, 'UTF8'), decode(e.sealed_actor, 'base64')
        FROM ROWS FROM (json_to_recordset(batch -> 'events')
                        AS (stream uuid, version bigint, topic text, state json, sealed_actor text))
             WITH ORDINALITY AS e (stream, version, topic, state, sealed_actor, ordinal)
        JOIN appends a ON a.stream = e.stream
        ORDER BY e.ordinal
        RETURNING notification_id
    )
    SELECT min(notification_id), max(notification_id) INTO first_position, last_position FROM appended;
    IF first_position IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_notify('preferences_log', '');
    RETURN QUERY
    INSERT INTO current_preferences AS c (originator_id, version, position, modified_at, choices)
    SELECT f.originator_id, f.version, f.position, f.modified_at, f.choices
    FROM fold_preferences(first_position - 1, last_position) f
    ON CONFLICT (originator_id) DO UPDATE
       SET version = excluded.version, position = excluded.position,
           modified_at = excluded.modified_at, choices = c.choices || excluded.choices
    RETURNING c.originator_id;
END
$$;
