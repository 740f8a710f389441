-- name: status
-- When the newest checkpoint was signed, and the first event after it, each by one probe of a key.
SELECT last.created_at, (
    SELECT state FROM preferences_events
    WHERE notification_id > coalesce(last.position, 0)
    ORDER BY notification_id
    LIMIT 1
)
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (SELECT created_at, position FROM checkpoints ORDER BY size DESC LIMIT 1) AS last ON true;
