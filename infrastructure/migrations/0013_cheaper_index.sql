-- leaves-working: 0007
-- The index of the audit log, made in less time. Events of one class differ in their instant, their id and their request alone, and in
-- the place in the client's trace (`traceparent`), where one was sent. So these are cut out of
-- each event, equal remainders are grouped, and what an entry can be asked for by is taken from each group once.

-- What an event of a user can be asked for by, other than user and time: this is the only place that says so. `organization` is null in an
-- event of a user without an organization. Fields are cut out of the text as in `fold_preferences` (0003). Nearly all events have an
-- organization, so it is cut out first, and only where nothing is cut out is it asked whether the field is there. Whether staff acted is
-- said by the event; in events from before it did, by the actor, who was not sealed then.
CREATE FUNCTION audit_class(topic text, event text, plain boolean)
RETURNS TABLE (organization text, action text, channel text, toggle text, enabled boolean, source text, actor_kind text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(CASE WHEN plain THEN nullif(split_part(split_part(event, '"organization":"', 2), '"', 1), '') END,
                    CASE WHEN NOT plain OR position('"organization"' IN event) > 0
                         THEN string_in(event, plain, 'organization') END),
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
$$;

-- The events of users between two positions, each with its instant and its shape: the event's text without what differs from event to
-- event. That is cut out if the event is written as this service writes it (`cut`). Otherwise the whole text is the shape. What is cut
-- out has neither a quote nor a backslash, so the shape is JSON of the same form, without its beginning. `traced`: the event ends with the
-- place in the client's trace, which goes, too.
--
-- Most of it is looked up at its place, and not searched for. Bytes are cut and not characters, because to find a character, all
-- before it must be counted.
CREATE FUNCTION audit_shapes(after bigint, up_to bigint)
RETURNS TABLE ("position" bigint, originator_id uuid, topic text, occurred_at timestamptz, cut boolean, shape bytea)
LANGUAGE sql STABLE AS $$
    SELECT notification_id, originator_id, topic,
           CASE WHEN cut THEN left(convert_from(instant, 'UTF8'), 32)
                ELSE coalesce(string_in(event, position('\x5c'::bytea IN state) = 0, '_data_'), '') END::timestamptz,
           cut,
           CASE WHEN cut THEN substring(state FROM 108 + octet_length(named) FOR to_request - 107 - octet_length(named))
                              || CASE WHEN traced THEN substring(state FROM to_request + 27 FOR octet_length(state) - 83 - to_request) || '"}'::bytea
                                      ELSE substring(state FROM to_request + 27) END
                ELSE state END
    FROM (
        -- Each of the three is looked at together with the quote that ends it.
        SELECT *, substring(state FOR 48) = '{"timestamp":{"_type_":"datetime_iso","_data_":"'::bytea
                  AND substring(state FROM 82 FOR octet_length(named)) = named
                  AND position('"'::bytea IN instant) = 33 AND position('"'::bytea IN id) = 27 AND position('"'::bytea IN request) = 27
                  AND position('\x5c'::bytea IN instant || id || request) = 0 AS cut,
                  substring(state FROM octet_length(state) - 71 FOR 15) = '"traceparent":"'::bytea
                  AND position('"'::bytea IN substring(state FROM octet_length(state) - 56)) = 56
                  AND substring(state FROM octet_length(state)) = '}'::bytea
                  AND position('\x5c'::bytea IN substring(state FROM octet_length(state) - 56)) = 0
                  AND octet_length(state) - 72 >= to_request + 27 AS traced
        FROM (
            SELECT *, substring(state FROM 49 FOR 33) AS instant, substring(state FROM 82 + octet_length(named) FOR 27) AS id,
                   substring(state FROM to_request + 1 FOR 27) AS request
            FROM (
                SELECT notification_id, originator_id, topic, state, event,
                       octet_length(split_part(event, '"request_id":"', 1)) + 14 AS to_request,
                       CASE WHEN topic = 'notification-preferences.opened'
                            THEN '},"originator_topic":"notification-preferences","event_id":"'::bytea
                            ELSE '},"event_id":"'::bytea END AS named
                FROM (
                    SELECT notification_id, originator_id, topic, state, convert_from(state, 'UTF8') AS event
                    FROM preferences_events
                    WHERE notification_id > after AND notification_id <= up_to
                      AND topic IN ('notification-preferences.opened', 'notification-preferences.toggled',
                                    'notification-preferences.erased')
                    OFFSET 0
                ) AS found
                OFFSET 0
            ) AS placed
            OFFSET 0
        ) AS parts
        OFFSET 0
    ) AS judged
$$;

-- Adds the entries of the events between two positions, which must have none yet, the classes that are met for the first time, and the
-- counts of the days (0012). The caller holds the follower's row, so one transaction at a time runs this.
--
-- Events are grouped by shape and day, and shapes by class, because a comparison that takes null for null can be made by a hash there
-- and not in a join. A class that has no number takes one before it is inserted, so that its entries need no look-up of what was
-- inserted. The number comes from the sequence, unless that is behind the numbers that were given, as after a cut-over that doesn't copy
-- sequences. Choices and other events are looked up apart, because each then finds its class in the unique index. The plan must hold for
-- any size of the tables: see `append_events` (0003). Entries of a class that are close in the log are added one after the other, because
-- each then finds its place in the indexes in the processor's cache; further apart they stay in the order of the log, so that few pages have
-- a range of positions. The function is never compiled, because each execution would compile it again.
--
-- An event that is damaged stops the index instead of being passed over or shown as something else: each shape is parsed as JSON, and
-- one that is no object has no action, which the table of classes refuses.
CREATE OR REPLACE FUNCTION index_events(after bigint, up_to bigint) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    uncounted_after bigint := 0;
    uncounted_up_to bigint := 0;
BEGIN
    SELECT u.after, u.up_to INTO uncounted_after, uncounted_up_to FROM audit_uncounted u WHERE u.one;

    WITH shapes AS MATERIALIZED (
        SELECT row_number() OVER () AS number, day, entries, positions, instants, streams,
               organization, CASE WHEN whole THEN action END AS action, channel, toggle, enabled, source, actor_kind
        FROM (
            SELECT day, entries, positions, instants, streams, json_typeof(event::json) = 'object' AS whole, c.*
            FROM (
                SELECT topic, day, entries, positions, instants, streams, position('\x5c'::bytea IN shape) = 0 AS plain,
                       convert_from(CASE WHEN cut THEN '{"timestamp":{"_type_":"datetime_iso","_data_":""},"event_id":"'::bytea || shape
                                         ELSE shape END, 'UTF8') AS event
                FROM (
                    SELECT topic, cut, shape, date_bin('1 day', occurred_at, '2000-01-01 00:00:00+00') AS day,
                           count(*) FILTER (WHERE NOT ("position" > uncounted_after AND "position" <= uncounted_up_to)) AS entries,
                           array_agg("position") AS positions, array_agg(occurred_at) AS instants,
                           array_agg(originator_id) AS streams
                    FROM audit_shapes(after, up_to)
                    GROUP BY topic, cut, shape, day
                ) AS grouped
                OFFSET 0
            ) AS texts
            CROSS JOIN LATERAL audit_class(topic, event, plain) AS c
            OFFSET 0
        ) AS classed
        WHERE organization IS NOT NULL OR NOT whole
    ), numbered AS MATERIALIZED (
        SELECT g.*, known.class IS NULL AS new,
               coalesce(known.class, CASE WHEN last_class > coalesce(pg_sequence_last_value('audit_classes_class_seq'), 0)
                                          THEN last_class + row_number() OVER (PARTITION BY known.class IS NULL)
                                          ELSE nextval('audit_classes_class_seq') END)::integer AS class
        FROM (
            SELECT organization, action, channel, toggle, enabled, source, actor_kind, array_agg(number) AS numbers
            FROM shapes
            GROUP BY organization, action, channel, toggle, enabled, source, actor_kind
        ) g
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
    ), placed AS MATERIALIZED (
        SELECT class, (day AT TIME ZONE 'UTC')::date AS day, entries, positions, instants, streams
        FROM (SELECT class, unnest(numbers) AS number FROM numbered) AS of_class
        JOIN shapes USING (number)
    ), added AS (
        INSERT INTO audit_classes (class, organization, action, channel, toggle, enabled, source, actor_kind)
        OVERRIDING SYSTEM VALUE
        SELECT class, organization, action, channel, toggle, enabled, source, actor_kind FROM numbered WHERE new
    ), counted AS (
        INSERT INTO audit_daily_counts AS d (class, day, entries)
        SELECT class, day, sum(entries)::bigint FROM placed WHERE entries > 0 GROUP BY class, day
        ON CONFLICT (class, day) DO UPDATE SET entries = d.entries + excluded.entries
    )
    INSERT INTO audit_entries ("position", occurred_at, originator_id, class)
    SELECT "position", occurred_at, originator_id, class
    FROM (
        SELECT unnest(positions) AS "position", unnest(instants) AS occurred_at, unnest(streams) AS originator_id, class FROM placed
    ) AS entries
    ORDER BY "position" / 2048, class;

    IF uncounted_after < uncounted_up_to THEN
        PERFORM count_entries(50000);
    END IF;
END
$$;

-- What the index has of each event: the same as before (0011), from the same place as above.
CREATE OR REPLACE FUNCTION audit_rows(after bigint, up_to bigint)
RETURNS TABLE ("position" bigint, occurred_at timestamptz, originator_id uuid, organization text, action text, channel text,
               toggle text, enabled boolean, source text, actor_kind text)
LANGUAGE sql STABLE AS $$
    SELECT notification_id, string_in(event, plain, '_data_')::timestamptz, originator_id, organization, action, channel, toggle,
           enabled, source, actor_kind
    FROM (
        SELECT notification_id, originator_id, event, plain, c.*
        FROM (
            SELECT notification_id, originator_id, topic, convert_from(state, 'UTF8') AS event,
                   position('\x5c'::bytea IN state) = 0 AS plain
            FROM preferences_events
            WHERE notification_id > after AND notification_id <= up_to
              AND topic IN ('notification-preferences.opened', 'notification-preferences.toggled',
                            'notification-preferences.erased')
            OFFSET 0
        ) AS found
        CROSS JOIN LATERAL audit_class(topic, event, plain) AS c
        OFFSET 0
    ) AS classed
    WHERE organization IS NOT NULL
$$;
