-- leaves-working: 0007
-- What a log in partitions needs (infrastructure/log/partitions.py, docs/adr/0032). Nothing here acts on a log that is one table.

-- The approximate number of events, for a progress bar, in all partitions.
CREATE FUNCTION log_about() RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND (oid = 'preferences_events'::regclass
                             OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'preferences_events'::regclass))
$$;

-- What LIKE leaves out when a table is made after another one: the owner, the privileges, and the storage parameters, of which a
-- partitioned table has none.
CREATE FUNCTION copy_settings(former regclass, made regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    granted record;
    parameters text;
BEGIN
    EXECUTE (SELECT format('ALTER TABLE %s OWNER TO %I', made, pg_get_userbyid(relowner)) FROM pg_class WHERE oid = former);
    FOR granted IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee, privilege_type AS privilege,
               CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS further
        FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = former
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', granted.privilege, made, granted.grantee, granted.further);
    END LOOP;
    SELECT array_to_string(of_former.reloptions, ', ') INTO parameters
    FROM pg_class of_former, pg_class of_made
    WHERE of_former.oid = former AND of_made.oid = made AND of_made.relkind = 'r';
    IF parameters IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', made, parameters);
    END IF;
END
$$;

-- One event for each version of a stream. Each partition's primary key says so of its own events, because a unique constraint of the whole
-- table would have to contain the position. This trigger of the whole table holds new events against all earlier ones.
--
-- Its arguments are the first positions of the last two partitions. Nearly every event follows its stream's previous one within a partition.
-- That one was checked when it was inserted, so all events before it have lower versions, and no other partition has to be looked into.
CREATE FUNCTION one_event_per_version() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    first_added bigint;
    last_added  bigint;
    beginning   bigint;
    unproved    bigint[];
    doubled     text;
BEGIN
    SELECT min(notification_id), max(notification_id) INTO first_added, last_added FROM added;
    -- A statement that goes on in the next partition is checked against all of them.
    beginning := CASE WHEN first_added >= TG_ARGV[1]::bigint THEN TG_ARGV[1]::bigint
                      WHEN last_added < TG_ARGV[1]::bigint THEN TG_ARGV[0]::bigint
                      ELSE first_added END;
    SELECT array_agg(a.notification_id) INTO unproved
    FROM added a
    LEFT JOIN LATERAL (
        SELECT true AS found FROM preferences_events e
        WHERE e.originator_id = a.originator_id AND e.originator_version = a.originator_version - 1
          AND e.notification_id >= beginning
        OFFSET 0
    ) AS previous ON true
    WHERE previous.found IS NULL;
    IF unproved IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT format('(%s, %s)', a.originator_id, a.originator_version) INTO doubled
    FROM added a
    WHERE a.notification_id = ANY (unproved) AND EXISTS (
        SELECT FROM preferences_events e
        WHERE e.originator_id = a.originator_id AND e.originator_version >= a.originator_version
          AND e.notification_id < a.notification_id
    )
    LIMIT 1;
    IF doubled IS NOT NULL THEN
        RAISE unique_violation USING MESSAGE = 'duplicate key value violates unique constraint "preferences_events_pkey"',
            DETAIL = format('Key (originator_id, originator_version)=%s already exists, or a later version does.', doubled),
            CONSTRAINT = 'preferences_events_pkey', TABLE = 'preferences_events';
    END IF;
    RETURN NULL;
END
$$;

-- While the last partition is being closed, a constraint refuses events from its future end on. An event that has to go there gives up the
-- closing first: a continuation of the log on another server, or the event after those that were expected meanwhile. Only the tables' owner
-- may drop a constraint, hence SECURITY DEFINER. It does nothing for a role that may not write the log, searches for no name in a schema of
-- the caller's, and touches no table of another owner. It waits 2 s at most, because all other sessions wait behind it.
CREATE FUNCTION give_up_closing() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE closing regclass;
BEGIN
    FOR closing IN
        SELECT conrelid FROM pg_constraint c JOIN pg_inherits ON inhrelid = conrelid
        WHERE conname = 'preferences_events_closing' AND has_table_privilege(session_user, inhparent, 'INSERT')
          AND EXISTS (SELECT FROM pg_proc WHERE proname = 'give_up_closing' AND pronamespace = connamespace
                                            AND proowner = current_user::regrole)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT preferences_events_closing', closing);
    END LOOP;
END
$$;
