-- name: newest_of_organization
-- Of each class that fits, the newest entries behind a place, from an index that has them in this order; then the newest
-- of all these. What fits rarely costs no more than what fits often. Where the index stood at that very moment comes along:
-- what was made anew behind a reader's back is shorter, and would look like the end. Never prepared: see newest_of_stream.
WITH fitting AS MATERIALIZED (
    SELECT class FROM audit_classes
    WHERE organization = %(organization)s AND action = ANY (%(actions)s)
      AND (%(actor_kind)s::text IS NULL OR actor_kind = %(actor_kind)s)
      AND (%(channel)s::text IS NULL OR channel = %(channel)s)
      AND (%(toggle)s::text IS NULL OR toggle = %(toggle)s)
      AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s)
      AND (%(source)s::text IS NULL OR source = %(source)s)
)
SELECT (SELECT position FROM followers WHERE name = %(follower)s), ARRAY(
    SELECT e.position
    FROM fitting CROSS JOIN LATERAL (
        SELECT occurred_at, position FROM audit_entries
        WHERE class = fitting.class
          AND occurred_at >= %(since)s AND (occurred_at, position) < (%(before)s, %(before_position)s)
        ORDER BY occurred_at DESC, position DESC
        LIMIT %(limit)s
    ) e
    ORDER BY e.occurred_at DESC, e.position DESC
    LIMIT %(limit)s
);

-- name: newest_of_stream
-- The same for one user. Never prepared: a plan for any number of rows, made while the index was small, would go on
-- sorting all that there is of a class.
WITH fitting AS MATERIALIZED (
    SELECT class FROM audit_classes
    WHERE organization = %(organization)s AND action = ANY (%(actions)s)
      AND (%(actor_kind)s::text IS NULL OR actor_kind = %(actor_kind)s)
      AND (%(channel)s::text IS NULL OR channel = %(channel)s)
      AND (%(toggle)s::text IS NULL OR toggle = %(toggle)s)
      AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s)
      AND (%(source)s::text IS NULL OR source = %(source)s)
)
SELECT (SELECT position FROM followers WHERE name = %(follower)s), ARRAY(
    SELECT e.position
    FROM fitting CROSS JOIN LATERAL (
        SELECT occurred_at, position FROM audit_entries
        WHERE originator_id = %(stream)s AND class = fitting.class
          AND occurred_at >= %(since)s AND (occurred_at, position) < (%(before)s, %(before_position)s)
        ORDER BY occurred_at DESC, position DESC
        LIMIT %(limit)s
    ) e
    ORDER BY e.occurred_at DESC, e.position DESC
    LIMIT %(limit)s
);

-- name: count
-- How many entries fit, for whoever wants to know how far an export is.
SELECT count(*)
FROM audit_entries
WHERE class = ANY (SELECT class FROM audit_classes
    WHERE organization = %(organization)s AND action = ANY (%(actions)s)
      AND (%(actor_kind)s::text IS NULL OR actor_kind = %(actor_kind)s)
      AND (%(channel)s::text IS NULL OR channel = %(channel)s)
      AND (%(toggle)s::text IS NULL OR toggle = %(toggle)s)
      AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s)
      AND (%(source)s::text IS NULL OR source = %(source)s))
  AND (%(stream)s::uuid IS NULL OR originator_id = %(stream)s)
  AND occurred_at >= %(since)s AND (occurred_at, position) < (%(before)s, %(before_position)s);

-- name: progress
-- Where the index stands, where the log ends, what time it is, and where the index is behind, the earliest time that the last event
-- in it and the first thousand that are not in it yet say of themselves: all of one moment. Nobody's clock is trusted to be right,
-- so a later event can say an earlier time. The times are cut out of the bytes and compared as text, since an event that can't be
-- read must not take the audit log from everybody. Never prepared: planned while the log was empty, it would scan for ever.
SELECT reached, last, statement_timestamp(), CASE WHEN reached > 0 AND reached < last THEN (
    SELECT min(said COLLATE "C")
    FROM (
        SELECT split_part(split_part(encode(state, 'escape'), '"_data_"', 2), '"', 2) AS said
        FROM (
            SELECT state FROM preferences_events WHERE notification_id >= reached ORDER BY notification_id LIMIT 1001
        ) AS first_ones
    ) AS times
    WHERE said ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$'
) END
FROM (SELECT (SELECT position FROM followers WHERE name = %(follower)s) AS reached,
             (SELECT max(notification_id) FROM preferences_events) AS last OFFSET 0) AS progress;
