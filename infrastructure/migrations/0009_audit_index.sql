-- leaves-working: 0007
-- The index of the audit log is made in here, from the stored events, in one statement a batch. The process that follows the log
-- keeps nothing in memory, so nothing that it remembers can outlive what a crash or a failover of the database takes back.

-- What the index has of each event of an organization between two positions: the place of the entry, and all that it can be asked
-- for by. An event of a user without an organization, or of no user, has no row. This is the only place that says what an entry
-- holds: the index is made of it, and compared with it.
--
-- Fields are cut out of the text as in `fold_preferences` (0003), and a field that most events lack is looked for first, because what
-- is not found is parsed. Whether staff acted is said by the event; in events from before it did, by the actor, who stood in the
-- open then.
CREATE FUNCTION audit_rows(after bigint, up_to bigint)
RETURNS TABLE ("position" bigint, occurred_at timestamptz, originator_id uuid, organization text, action text, channel text,
               toggle text, enabled boolean, source text, actor_kind text)
LANGUAGE sql STABLE AS $$
    SELECT notification_id, string_in(event, plain, '_data_')::timestamptz, originator_id, organization,
           CASE topic WHEN 'notification-preferences.toggled' THEN 'notification_preferences.toggle'
                      WHEN 'notification-preferences.opened' THEN 'notification_preferences.open'
                      ELSE 'notification_preferences.erase' END,
           CASE WHEN topic = 'notification-preferences.toggled' THEN string_in(event, plain, 'channel') END,
           CASE WHEN topic = 'notification-preferences.toggled' THEN string_in(event, plain, 'toggle') END,
           CASE WHEN topic = 'notification-preferences.toggled' THEN boolean_in(event, plain, 'enabled') END,
           string_in(event, plain, 'source'),
           CASE WHEN topic = 'notification-preferences.erased' THEN 'platform'
                WHEN plain AND position('"impersonat' IN event) = 0 THEN 'customer'
                WHEN (event::jsonb ->> 'impersonated')::boolean THEN 'platform'
                WHEN event::jsonb -> 'actor' ? 'impersonator' THEN 'platform'
                ELSE 'customer' END
    FROM (
        SELECT notification_id, originator_id, topic, event, plain,
               CASE WHEN plain AND position('"organization"' IN event) = 0 THEN NULL
                    ELSE string_in(event, plain, 'organization') END AS organization
        FROM (
            SELECT notification_id, originator_id, topic, convert_from(state, 'UTF8') AS event,
                   position('\x5c'::bytea IN state) = 0 AS plain
            FROM preferences_events
            WHERE notification_id > after AND notification_id <= up_to
              AND topic IN ('notification-preferences.opened', 'notification-preferences.toggled',
                            'notification-preferences.erased')
            OFFSET 0
        ) AS found
        OFFSET 0
    ) AS owned
    WHERE organization IS NOT NULL
$$;

-- Adds the entries of the events between two positions, which must have none yet, and the classes that are met for the first time.
-- The caller holds the follower's row, so one transaction at a time runs this.
--
-- Rows are grouped by class, because a comparison that takes null for null can be made by a hash there and not in a join. A class
-- that has no number takes one before it is inserted, so that its entries need no look-up of what was inserted. The number comes from
-- the sequence, unless that is behind the numbers that were given, as after a cut-over that doesn't copy sequences. Choices and other
-- events are looked up apart, because each then finds its class in the unique index. The plan must hold for any size of the tables: see
-- `append_events` (0003).
CREATE FUNCTION index_events(after bigint, up_to bigint) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
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
    )
    INSERT INTO audit_entries ("position", occurred_at, originator_id, class)
    SELECT e."position", e.occurred_at, e.originator_id, class
    FROM numbered, unnest(positions, instants, streams) AS e ("position", occurred_at, originator_id)
    ORDER BY e."position";
END
$$;

-- A choice without channel, toggle or value is damaged. It must stop the index instead of being shown as something else.
ALTER TABLE audit_classes ADD CONSTRAINT audit_classes_whole
    CHECK ((action = 'notification_preferences.toggle') = (channel IS NOT NULL AND toggle IS NOT NULL AND enabled IS NOT NULL))
    NOT VALID;

-- In which pages the entries of a range of positions are. It has one entry for many pages, so it costs an insert next to nothing.
CREATE INDEX audit_entries_by_position ON audit_entries USING brin ("position")
    WITH (autosummarize = on, pages_per_range = 16);
