-- leaves-working: 0007
-- A position of the log is given once, whatever became of the server and whatever its sequence says (docs/adr/0016).
--
-- Where the log has lived. A row says that from the position `since` on it is written on `server`; what stood behind `previous_end`
-- on the server before is lost, if anything did. Rows are only ever added, and the last one counts.
CREATE TABLE log_servers (
    since        bigint NOT NULL PRIMARY KEY,
    previous_end bigint NOT NULL,
    server       text   NOT NULL
);

-- The roles that write the log now have to be able to at once: processes of the release before serve on.
DO $$
DECLARE granted record;
BEGIN
    FOR granted IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee, privilege_type AS privilege
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'preferences_events'::regclass AND privilege_type IN ('SELECT', 'INSERT')
    LOOP
        EXECUTE format('GRANT %s ON log_servers TO %s', granted.privilege, granted.grantee);
    END LOOP;
END $$;

-- Which server this is, as far as the log is concerned. A server of its own has a system identifier of its own. A standby that is
-- promoted, and a backup that is restored to a point in time, begin a new timeline; the name of a WAL file begins with it, whereas
-- pg_control_checkpoint() tells it only after the next checkpoint. A dump that is restored makes the table anew, under another number.
CREATE FUNCTION log_server() RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT concat_ws('/', system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),
                     'preferences_events'::regclass::oid::bigint)
    FROM pg_control_system()
$$;

CREATE FUNCTION log_is_at_home() RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT FROM log_servers WHERE since = (SELECT max(since) FROM log_servers) AND server = log_server())
$$;

-- Raises 58LOG where the log was last written on another server: before the next event, it has to be continued beyond all that
-- may have been given out there (infrastructure/log/continuation.py). Asked once by each session that writes, because reading the
-- control file takes longer than an append. Once is enough: a session that has written ends with its server's timeline. The
-- setting is undone with a transaction that is rolled back. 58 is the class of errors outside of PostgreSQL itself, which the
-- release before takes for temporary.
CREATE FUNCTION refuse_another_server() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT log_is_at_home() THEN
        RAISE EXCEPTION 'the log was last written on another server, and was not continued on this one yet' USING ERRCODE = '58LOG';
    END IF;
    PERFORM set_config('preferences.log_server', 'known', false);
END
$$;

-- Sets the sequence to a position that was given without it, if the caller may do that. A role with no more than USAGE on it may not,
-- and needn't: whatever it says, positions come from behind the end of the log. Only under a lock that keeps all others from writing.
CREATE FUNCTION set_sequence_forward(given bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF has_sequence_privilege('preferences_events_notification_id_seq', 'UPDATE') THEN
        PERFORM setval('preferences_events_notification_id_seq', given);
    END IF;
END
$$;

-- A position for whoever else writes: the eventsourcing library's own applications, which lock the table, and the catalogue's statement,
-- which takes the lock of append_events. It comes from the sequence, unless that is behind the end of the log, after a cut-over that
-- doesn't copy sequences for instance: then it counts on from there. Each row of a statement sees the ones before it.
CREATE FUNCTION next_position() RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE log_end bigint;
BEGIN
    IF current_setting('preferences.log_server', true) IS DISTINCT FROM 'known' THEN
        PERFORM refuse_another_server();
    END IF;
    SELECT max(notification_id) INTO log_end FROM preferences_events;
    IF log_end > coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0) THEN
        PERFORM set_sequence_forward(log_end + 1);
        RETURN log_end + 1;
    END IF;
    RETURN nextval('preferences_events_notification_id_seq');
END
$$;
ALTER TABLE preferences_events ALTER COLUMN notification_id SET DEFAULT next_position();

-- Appends to several streams and projects what was appended, all in the statement's own transaction. Answers with the streams
-- that were appended to; one that no longer stands at its expected version, or whose choices are other than those that its events
-- were decided from, is left out, and hinders nobody. Why it takes its lock here, and why the batch is json: see 0001. What its
-- plans must hold for, and who is woken: see 0003, whose function this replaces. A batch of the release before has no
-- `expected_choices`, and is held to its versions alone.
--
-- Positions are given as by next_position. The end of the log is read under the lock, and under one that the library's own writers
-- wait for, so nothing can be appended behind it meanwhile. It is read within the statement that inserts: to run one more for it
-- would take 20 µs.
CREATE OR REPLACE FUNCTION append_events(batch json) RETURNS SETOF uuid
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    first_position bigint;
    last_position  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7305114882901);
    LOCK TABLE preferences_events IN ROW EXCLUSIVE MODE;
    IF current_setting('preferences.log_server', true) IS DISTINCT FROM 'known' THEN
        PERFORM refuse_another_server();
    END IF;
    WITH appends AS MATERIALIZED (
        SELECT a.*
        FROM json_to_recordset(batch -> 'streams')
             AS a (stream uuid, expected_version bigint, expected_choices jsonb, new_key text)
        LEFT JOIN LATERAL (
            SELECT version, choices FROM current_preferences WHERE originator_id = a.stream OFFSET 0
        ) AS c ON true
        WHERE coalesce(c.version, 0) = a.expected_version
          AND (a.expected_choices IS NULL OR coalesce(c.choices, '{}') = a.expected_choices)
    ), keys AS (
        INSERT INTO person_keys (originator_id, since_version, key)
        SELECT stream, expected_version + 1, decode(new_key, 'base64') FROM appends WHERE new_key IS NOT NULL
    ), ordered AS (
        SELECT e.*
        FROM ROWS FROM (json_to_recordset(batch -> 'events')
                        AS (stream uuid, version bigint, topic text, state json, sealed_actor text))
             WITH ORDINALITY AS e (stream, version, topic, state, sealed_actor, ordinal)
        JOIN appends a ON a.stream = e.stream
        ORDER BY e.ordinal
        OFFSET 0
    ), appended AS (
        INSERT INTO preferences_events (notification_id, originator_id, originator_version, topic, state, sealed_actor)
        SELECT coalesce((SELECT log.log_end FROM (SELECT max(notification_id) AS log_end FROM preferences_events) AS log
                         WHERE log.log_end > coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0))
                        + ordinal, nextval('preferences_events_notification_id_seq')),
               stream, version, topic, convert_to(state::text, 'UTF8'), decode(sealed_actor, 'base64')
        FROM ordered
        RETURNING notification_id
    )
    SELECT min(notification_id), max(notification_id) INTO first_position, last_position FROM appended;
    IF first_position IS NULL THEN
        RETURN;
    END IF;
    IF last_position > coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0) THEN
        PERFORM set_sequence_forward(last_position);
    END IF;
    PERFORM pg_notify('preferences_log', '');
    -- The eventsourcing library's projection runners listen on a channel that has the name of the table.
    PERFORM pg_notify('preferences_events', '');
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

-- Whatever was recorded so far, was recorded here, as far as anybody can tell.
INSERT INTO log_servers (since, previous_end, server)
SELECT log.ended, log.ended, log_server()
FROM (SELECT coalesce(max(notification_id), 0) AS ended FROM preferences_events) AS log;
