-- name: evidence
-- What decided each toggle of one user until an instant: the newest choice for it, and the versions that were looked at,
-- which tell a gap. The catalogue's stream comes along, so that all of it is as of one moment. Both streams are read by the
-- primary key. The choices are picked here, since a stream can be long, and what is sent and decoded should not be. Each
-- event is parsed once (that is what OFFSET 0 is for) and nothing is sorted.
WITH until AS MATERIALIZED (
    SELECT CASE topic WHEN %(topic)s THEN (event ->> 'channel') || '.' || (event ->> 'toggle') END AS path,
           max(originator_version) AS version, count(*) AS events
    FROM (
        SELECT originator_version, topic, convert_from(state, 'UTF8')::jsonb AS event
        FROM preferences_events
        WHERE originator_id = %(stream)s
        OFFSET 0
    ) AS parsed
    WHERE (event #>> '{timestamp,_data_}')::timestamptz <= %(until)s
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
