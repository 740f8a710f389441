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
-- Where the index stands, where the log ends, and what time it is, all of one moment.
SELECT (SELECT position FROM followers WHERE name = %(follower)s),
       (SELECT max(notification_id) FROM preferences_events), statement_timestamp();
