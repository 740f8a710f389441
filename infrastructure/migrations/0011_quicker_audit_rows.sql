-- leaves-working: 0007
-- What the index has of each event: the same as before (0009), in less time. Nearly all events have an organization, so it is
-- cut out first, and only where nothing is cut out is it asked whether the field is there. To ask first costs more than to cut,
-- because the answer of `position` is a number of characters, for which the text before it is counted.
CREATE OR REPLACE FUNCTION audit_rows(after bigint, up_to bigint)
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
               coalesce(CASE WHEN plain THEN nullif(split_part(split_part(event, '"organization":"', 2), '"', 1), '') END,
                        CASE WHEN NOT plain OR position('"organization"' IN event) > 0
                             THEN string_in(event, plain, 'organization') END) AS organization
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
