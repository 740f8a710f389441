-- name: by_day
-- What an organization's users switched on and off, by class and day: a row for each class, with its days, counted from a day on, and its
-- counts, which Python adds up. A day can come more than once. Whole days come from the counts. The entries themselves are counted where
-- a day is cut by `since` or `until`, and in the stretch that the counts lack since their migration. The query also returns the index's
-- position, as `newest_of_organization` does, and for each class its first and last entry of the time that was asked for: their events
-- show whether the class is what it says. Everything is of one moment. Never prepared: see `newest_of_stream`.
WITH fitting AS MATERIALIZED (
    SELECT class, channel, toggle, source, enabled FROM audit_classes
    WHERE organization = %(organization)s AND action = 'notification_preferences.toggle'
      AND (%(actor_kind)s::text IS NULL OR actor_kind = %(actor_kind)s)
      AND (%(channel)s::text IS NULL OR channel = %(channel)s)
      AND (%(toggle)s::text IS NULL OR toggle = %(toggle)s)
      AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s)
      AND (%(source)s::text IS NULL OR source = %(source)s)
), counted AS (
    SELECT f.class, c.day, c.entries
    FROM fitting f CROSS JOIN LATERAL (
        SELECT day, entries FROM audit_daily_counts
        WHERE class = f.class AND day >= %(first_day)s AND day < %(end_day)s
    ) c
    UNION ALL
    SELECT f.class, e.day, e.entries
    FROM fitting f CROSS JOIN (VALUES (%(since)s::timestamptz, %(cut_before)s::timestamptz),
                                      (%(cut_after)s::timestamptz, %(until)s::timestamptz)) AS cut ("from", "to")
    CROSS JOIN LATERAL (
        SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS entries FROM audit_entries
        WHERE class = f.class AND occurred_at >= cut."from" AND occurred_at < cut."to"
        GROUP BY day
    ) e
    WHERE cut."from" < cut."to"
    UNION ALL
    SELECT f.class, e.day, e.entries
    FROM (SELECT after, up_to FROM audit_uncounted WHERE after < up_to) u
    CROSS JOIN fitting f CROSS JOIN LATERAL (
        SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS entries FROM audit_entries
        WHERE class = f.class AND occurred_at >= %(cut_before)s AND occurred_at < %(cut_after)s
          AND position > u.after AND position <= u.up_to
        GROUP BY day
    ) e
), shown AS (
    SELECT f.channel, f.toggle, f.source, f.enabled, oldest.position AS oldest, newest.position AS newest, c.days, c.entries
    FROM (
        SELECT class, array_agg(day - %(first_day)s::date) AS days, array_agg(entries) AS entries
        FROM counted GROUP BY class
    ) c
    JOIN fitting f USING (class)
    LEFT JOIN LATERAL (
        SELECT position FROM audit_entries
        WHERE class = f.class AND occurred_at >= %(since)s AND occurred_at < %(until)s
        ORDER BY occurred_at, position LIMIT 1
    ) oldest ON true
    LEFT JOIN LATERAL (
        SELECT position FROM audit_entries
        WHERE class = f.class AND occurred_at >= %(since)s AND occurred_at < %(until)s
        ORDER BY occurred_at DESC, position DESC LIMIT 1
    ) newest ON true
)
SELECT index.position, shown.*
FROM (SELECT (SELECT position FROM followers WHERE name = %(follower)s)) AS index (position) LEFT JOIN shown ON true;
