-- One event appended and its user's row updated, in one statement. Each client has users of its own, so that no two of
-- them append to one stream at the same time.
--
-- The contender `locked` is this with the lines behind "--locked: ": the lock that keeps the log in order, taken before
-- the event gets its position and held until the commit is on disk. It shows what one event a commit can reach.
\set user random(1, 60)
WITH
--locked: lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(7305114882901)),
s AS MATERIALIZED (
    SELECT i.stream, coalesce(c.version, 0) + 1 AS version
    FROM
    --locked: lock CROSS JOIN
    (SELECT 'user_' || :client_id::text || '_' || :user::text AS name) u
    CROSS JOIN LATERAL (SELECT md5(u.name)::uuid AS stream) i
    LEFT JOIN current_preferences c ON c.originator_id = i.stream
), appended AS (
    INSERT INTO preferences_events (originator_id, originator_version, topic, state, sealed_actor)
    SELECT stream, version, '@topic@', '@state@'::bytea, '@sealed_actor@'::bytea FROM s
    RETURNING notification_id
)
INSERT INTO current_preferences AS c (originator_id, version, choices, modified_at, position)
SELECT s.stream, s.version, jsonb_build_object('email.weekly_usage_digest', s.version % 2 = 1),
       now(), a.notification_id
FROM s CROSS JOIN appended a
ON CONFLICT (originator_id) DO UPDATE
   SET version = excluded.version, choices = excluded.choices,
       modified_at = excluded.modified_at, position = excluded.position;
