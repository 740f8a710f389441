-- leaves-working: 0007
-- How many entries the audit index has of each class on each day, in UTC. A summary of a year reads some thousand rows instead of
-- millions of entries. `index_events` counts in the statement that adds the entries, and triggers count down what is removed. So the
-- counts are right whichever release follows the log, sets the index back or repairs it.
CREATE TABLE audit_daily_counts (
    class   integer NOT NULL,
    day     date    NOT NULL,
    entries bigint  NOT NULL,
    PRIMARY KEY (class, day)
-- Only the rows of the present day are updated. The new versions find room within the page.
) WITH (fillfactor = 70);

-- The one stretch of positions whose entries are not in the counts yet: those that were there before this migration. Each batch of the
-- follower counts a part of it. Until then, readers count these entries themselves. The stretch is empty if both ends are the same.
CREATE TABLE audit_uncounted (
    one   boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    after bigint  NOT NULL,
    up_to bigint  NOT NULL
);

-- The roles that the log is followed with must be able to at once.
DO $$
DECLARE granted record;
BEGIN
    FOR granted IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee, privilege_type AS privilege
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'followers'::regclass AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
    LOOP
        EXECUTE format('GRANT %s ON audit_daily_counts, audit_uncounted TO %s', granted.privilege, granted.grantee);
    END LOOP;
END $$;

-- Counts the next part of the stretch that is not counted yet. `most` bounds the events of the part, because positions have gaps of any
-- size. The caller holds the follower's row.
CREATE FUNCTION count_entries(most bigint) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    counted bigint;
    last    bigint;
    part    bigint;
BEGIN
    SELECT u.after, u.up_to INTO counted, last FROM audit_uncounted u WHERE u.one;
    SELECT notification_id INTO part FROM preferences_events
    WHERE notification_id > counted AND notification_id <= last
    ORDER BY notification_id OFFSET most - 1 LIMIT 1;
    part := coalesce(part, last);

    INSERT INTO audit_daily_counts AS d (class, day, entries)
    SELECT e.class, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, count(*)
    FROM audit_entries e
    WHERE e."position" > counted AND e."position" <= part
    GROUP BY e.class, day
    ON CONFLICT (class, day) DO UPDATE SET entries = d.entries + excluded.entries;

    UPDATE audit_uncounted u SET after = part WHERE u.one;
END
$$;

-- Adds the entries of the events between two positions, as before (0009), and counts them.
--
-- Rows are grouped by class, because a comparison that takes null for null can be made by a hash there and not in a join. A class
-- that has no number takes one before it is inserted, so that its entries need no look-up of what was inserted. The number comes from
-- the sequence, unless that is behind the numbers that were given, as after a cut-over that doesn't copy sequences. Choices and other
-- events are looked up apart, because each then finds its class in the unique index. The plan must hold for any size of the tables: see
-- `append_events` (0003).
CREATE OR REPLACE FUNCTION index_events(after bigint, up_to bigint) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    uncounted_after bigint := 0;
    uncounted_up_to bigint := 0;
BEGIN
    SELECT u.after, u.up_to INTO uncounted_after, uncounted_up_to FROM audit_uncounted u WHERE u.one;

    WITH grouped AS MATERIALIZED (
        SELECT organization, action, channel, toggle, enabled, source, actor_kind, array_agg("position") AS positions,
               array_agg(occurred_at) AS instants, array_agg(originator_id) AS streams
        FROM audit_rows(after, up_to)
        GROUP BY organization, action, channel, toggle, enabled, source, actor_kind
    ), numbered AS MATERIALIZED (
        SELECT g.*, known.class IS NULL AS new,
               coalesce(known.class, CASE WHEN last_class > coalesce(pg_sequence_last_value('audit_classes_class_seq'), 0)
                                          THEN last_class + row_number() OVER (PARTITION BY known.class IS NULL)
                                          ELSE nextval('audit_classes_class_seq') END)::integer AS class
        FROM grouped g
        CROSS JOIN (SELECT coalesce(max(class), 0) AS last_class FROM audit_classes) given
        LEFT JOIN LATERAL (
            SELECT class FROM audit_classes c
            WHERE c.organization = g.organization AND c.action = g.action AND c.channel = g.channel AND c.toggle = g.toggle
              AND c.enabled = g.enabled AND c.source = g.source AND c.actor_kind = g.actor_kind
            UNION ALL
            SELECT class FROM audit_classes c
            WHERE g.channel IS NULL AND c.organization = g.organization AND c.action = g.action AND c.channel IS NULL
              AND c.toggle IS NULL AND c.enabled IS NULL AND c.source = g.source AND c.actor_kind = g.actor_kind
        ) AS known ON true
    ), added AS (
        INSERT INTO audit_classes (class, organization, action, channel, toggle, enabled, source, actor_kind)
        OVERRIDING SYSTEM VALUE
        SELECT class, organization, action, channel, toggle, enabled, source, actor_kind FROM numbered WHERE new
    ), counted AS (
        INSERT INTO audit_daily_counts AS d (class, day, entries)
        SELECT class, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, count(*)
        FROM numbered, unnest(positions, instants) AS e ("position", occurred_at)
        WHERE NOT (e."position" > uncounted_after AND e."position" <= uncounted_up_to)
        GROUP BY class, day
        ON CONFLICT (class, day) DO UPDATE SET entries = d.entries + excluded.entries
    )
    INSERT INTO audit_entries ("position", occurred_at, originator_id, class)
    SELECT e."position", e.occurred_at, e.originator_id, class
    FROM numbered, unnest(positions, instants, streams) AS e ("position", occurred_at, originator_id)
    ORDER BY e."position";

    IF uncounted_after < uncounted_up_to THEN
        PERFORM count_entries(50000);
    END IF;
END
$$;

CREATE FUNCTION count_removed_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE audit_daily_counts d SET entries = d.entries - r.entries
    FROM (
        SELECT e.class, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS entries
        FROM removed e
        WHERE NOT EXISTS (SELECT FROM audit_uncounted u WHERE e."position" > u.after AND e."position" <= u.up_to)
        GROUP BY e.class, day
    ) r
    WHERE d.class = r.class AND d.day = r.day;
    DELETE FROM audit_daily_counts d
    USING (SELECT DISTINCT e.class, (e.occurred_at AT TIME ZONE 'UTC')::date AS day FROM removed e) r
    WHERE d.class = r.class AND d.day = r.day AND d.entries <= 0;
    RETURN NULL;
END
$$;

CREATE FUNCTION count_no_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE audit_daily_counts;
    UPDATE audit_uncounted SET after = up_to;
    RETURN NULL;
END
$$;

-- The index stands still for the rest of this transaction: whoever adds entries holds the follower's row, and the table's lock alone would
-- come too late for a process that is already inside the former `index_events`. If the follower never ran, its row is kept from being made.
-- Only so many entries are counted here that this takes a fraction of a second.
DO $$
DECLARE stands_at bigint;
BEGIN
    INSERT INTO followers (name) VALUES ('audit-index') ON CONFLICT DO NOTHING RETURNING -1 INTO stands_at;
    IF stands_at IS NULL THEN
        SELECT f.position INTO stands_at FROM followers f WHERE f.name = 'audit-index' FOR UPDATE;
    ELSE
        DELETE FROM followers WHERE name = 'audit-index';
    END IF;
    INSERT INTO audit_uncounted (after, up_to) VALUES (0, greatest(stands_at, 0));
    PERFORM count_entries(200000);
END $$;

-- A vacuum of the table gives way to a session that has waited for a second. Meanwhile readers go on, and the index stands still anyway.
SET LOCAL lock_timeout = '3s';

CREATE TRIGGER audit_entries_removed AFTER DELETE ON audit_entries REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_removed_entries();
CREATE TRIGGER audit_entries_emptied AFTER TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION count_no_entries();
