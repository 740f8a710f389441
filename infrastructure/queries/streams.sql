-- name: evidence
-- The newest choice of one user for each toggle until an instant, and the number of versions up to then, which reveals a gap. The
-- catalogue's stream is included, so that all of it is as of one moment. Both streams are read by the primary key. The choices are picked
-- in the database, because a stream can be long, and only a few rows should be sent and decoded. The fields of each event are cut out, as
-- in `fold_preferences`: parsing takes twice as long. OFFSET 0 keeps the subquery apart, so that each event is read once and nothing is
-- sorted. Never prepared: a plan made while the log was empty would scan for ever.
WITH until AS MATERIALIZED (
    SELECT CASE WHEN chosen THEN string_in(event, plain, 'channel') || '.' || string_in(event, plain, 'toggle') END AS path,
           max(originator_version) AS version, count(*) AS events
    FROM (
        SELECT originator_version, topic = %(topic)s AS chosen, convert_from(state, 'UTF8') AS event,
               position('\x5c'::bytea IN state) = 0 AS plain
        FROM preferences_events
        WHERE originator_id = %(stream)s
        OFFSET 0
    ) AS found
    WHERE string_in(event, plain, '_data_')::timestamptz <= %(until)s
    GROUP BY path
), shown AS (
    SELECT e.originator_id, e.originator_version, e.topic, e.state, e.sealed_actor, e.key
    FROM until
    JOIN events_with_keys e ON e.originator_id = %(stream)s AND e.originator_version = until.version
    WHERE until.path IS NOT NULL
    UNION ALL
    SELECT originator_id, originator_version, topic, state, sealed_actor, NULL
    FROM preferences_events
    WHERE originator_id = %(catalogues)s
)
SELECT looked_at.version, looked_at.events, shown.*
FROM (SELECT coalesce(max(version), 0) AS version, coalesce(sum(events), 0)::bigint AS events FROM until) AS looked_at
LEFT JOIN shown ON true
ORDER BY shown.originator_id, shown.originator_version;
