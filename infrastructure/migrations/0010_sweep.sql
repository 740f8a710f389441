-- leaves-working: 0007
-- How far the sweep is, which holds everything against the log, slowly, time and again (docs/adr/0018). A pass consists of legs, each
-- of which keeps what it needs to go on with its next step, whatever process takes it. `events` counts those that this pass has
-- seen, `events_before` those of the pass before, by which its pace is set.
CREATE TABLE sweep (
    leg           text        NOT NULL PRIMARY KEY,
    pass          bigint      NOT NULL DEFAULT 1,
    began_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    state         json,
    events        bigint      NOT NULL DEFAULT 0,
    events_before bigint      NOT NULL DEFAULT 0,
    completed_at  timestamptz
-- A few rows that are updated all the time: the old versions find room, and are cleared away, within the page.
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

-- What it found: once for each place, for as long as it lasts. `pass` is the last one that found it. Nothing in here is personal.
CREATE TABLE sweep_findings (
    id        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    leg       text        NOT NULL,
    kind      text        NOT NULL,
    place     text        NOT NULL,
    sentence  text        NOT NULL,
    pass      bigint      NOT NULL,
    found_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    mended_at timestamptz
);
CREATE UNIQUE INDEX sweep_findings_open ON sweep_findings (leg, kind, place) WHERE mended_at IS NULL;

-- The roles that the log is followed with have to be able to at once.
DO $$
DECLARE granted record;
BEGIN
    FOR granted IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee, privilege_type AS privilege
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'followers'::regclass AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
    LOOP
        EXECUTE format('GRANT %s ON sweep, sweep_findings TO %s', granted.privilege, granted.grantee);
    END LOOP;
END $$;

-- What the log says of some streams, all their events taken together: what `fold_preferences` (0003) says of all streams, with the
-- same expressions. Beside it stands which version erased the person last, and, for each version that was sealed, in their order,
-- what it takes to open it: the event's id, and the sealed actor. They are gathered here because each event is read here anyway.
CREATE FUNCTION fold_streams(first uuid, last uuid)
RETURNS TABLE (originator_id uuid, since bigint, version bigint, events bigint, "position" bigint,
               modified_at timestamptz, choices jsonb, erased bigint, sealed bigint[], event_ids text[], actors bytea[])
LANGUAGE sql STABLE AS $$
    SELECT originator_id, min(originator_version), max(originator_version), count(*), max(notification_id),
           max(occurred_at COLLATE "C")::timestamptz,
           coalesce(jsonb_object_agg(path, enabled) FILTER (WHERE path IS NOT NULL), '{}'),
           max(originator_version) FILTER (WHERE topic = 'notification-preferences.erased'),
           array_agg(originator_version) FILTER (WHERE sealed_actor <> ''),
           array_agg(event_id) FILTER (WHERE sealed_actor <> ''), array_agg(sealed_actor) FILTER (WHERE sealed_actor <> '')
    FROM (
        SELECT originator_id, originator_version, notification_id, topic, sealed_actor,
               string_in(event, plain, '_data_') AS occurred_at, string_in(event, plain, 'event_id') AS event_id,
               CASE WHEN chosen THEN string_in(event, plain, 'channel') || '.' || string_in(event, plain, 'toggle') END AS path,
               CASE WHEN chosen THEN boolean_in(event, plain, 'enabled') END AS enabled
        FROM (
            SELECT originator_id, originator_version, notification_id, topic, sealed_actor, convert_from(state, 'UTF8') AS event,
                   position('\x5c'::bytea IN state) = 0 AS plain, topic = 'notification-preferences.toggled' AS chosen
            FROM preferences_events
            WHERE originator_id >= first AND originator_id <= last
              AND topic IN ('notification-preferences.opened', 'notification-preferences.toggled',
                            'notification-preferences.erased')
            OFFSET 0
        ) AS found
        ORDER BY originator_id, originator_version
        OFFSET 0
    ) AS ordered
    GROUP BY originator_id
$$;
