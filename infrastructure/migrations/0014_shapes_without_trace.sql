-- leaves-working: 0007
-- The shape of an event (0013) leaves out the place in the client's trace, too, where the event ends with it. It differs from request to
-- request, so that each event would be a group of its own.
CREATE OR REPLACE FUNCTION audit_shapes(after bigint, up_to bigint)
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
