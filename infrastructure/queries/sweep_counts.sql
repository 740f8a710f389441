-- name: hold
-- Taken before the snapshot: resetting the index empties its tables, and an earlier snapshot would see empty tables.
LOCK TABLE audit_entries, audit_daily_counts, audit_uncounted IN ACCESS SHARE MODE;

-- name: end
-- The last class and day of a stretch that begins behind a class and a day. The number of entries bounds the stretch, and it contains
-- whole days. No row: the stretch is the last one.
SELECT class, (occurred_at AT TIME ZONE 'UTC')::date
FROM audit_entries
WHERE (class, occurred_at) >= (%(class)s, (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
ORDER BY class, occurred_at OFFSET %(limit)s - 1 LIMIT 1;

-- name: compare
-- The counts of a stretch beside its entries: those that differ, how many there are, and how many entries the stretch has. A stretch
-- without differences has one row, for the number of entries.
WITH entries AS MATERIALIZED (
    SELECT class, (occurred_at AT TIME ZONE 'UTC')::date AS day,
           count(*) FILTER (WHERE NOT EXISTS (SELECT FROM audit_uncounted u WHERE position > u.after AND position <= u.up_to))
               AS due,
           count(*) AS there
    FROM audit_entries
    WHERE (class, occurred_at) >= (%(class)s, (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
      AND (class, occurred_at) < (%(last_class)s, (%(last_day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
    GROUP BY class, day
), differing AS (
    SELECT class, day, coalesce(c.entries, 0) AS counted, coalesce(e.due, 0) AS due, count(*) OVER () AS all_of_them
    FROM entries e
    FULL JOIN (
        SELECT * FROM audit_daily_counts
        WHERE (class, day) > (%(class)s, %(day)s) AND (class, day) <= (%(last_class)s, %(last_day)s)
    ) c USING (class, day)
    WHERE coalesce(c.entries, 0) <> coalesce(e.due, 0)
    ORDER BY class, day
    LIMIT %(most)s
)
SELECT class, day::text, counted, due, all_of_them, total.there
FROM (SELECT coalesce(sum(there), 0)::bigint AS there FROM entries) total LEFT JOIN differing ON true
ORDER BY class, day;

-- name: keep_still
-- The index stays the same until the end of this transaction: neither the follower nor a reset writes meanwhile.
SELECT FROM followers WHERE name = 'audit-index' FOR UPDATE;

-- name: remove
-- Remove the counts of a stretch.
DELETE FROM audit_daily_counts
WHERE (class, day) > (%(class)s, %(day)s) AND (class, day) <= (%(last_class)s, %(last_day)s);

-- name: count
-- Make the right counts of a stretch, from its entries.
INSERT INTO audit_daily_counts (class, day, entries)
SELECT class, (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*)
FROM audit_entries
WHERE (class, occurred_at) >= (%(class)s, (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
  AND (class, occurred_at) < (%(last_class)s, (%(last_day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
  AND NOT EXISTS (SELECT FROM audit_uncounted u WHERE position > u.after AND position <= u.up_to)
GROUP BY class, day;

-- name: uncounted
-- Whether there still are entries that no count has: those from before the migration.
SELECT FROM audit_uncounted WHERE after < up_to;

-- name: count_uncounted
-- Count a large part of them at once. See the function's own comment.
SELECT count_entries(1000000);
