-- name: newest_of_organization
-- Takes the newest entries before a place from each class that fits, through an index in this order, and then the newest of all these. A
-- rare filter costs no more than a common one. The query also returns the index's position at that moment: if the index is being made
-- again meanwhile, it is shorter, and a reader would take that for the end. Never prepared: see newest_of_stream.
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
-- The same for one user. Never prepared: a plan for any number of rows, made while the index was small, would for ever sort all entries
-- of a class.
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
-- How many entries fit. An export shows its progress with this.
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
-- The position of the index, the end of the log, and the time, all of one moment.
SELECT (SELECT position FROM followers WHERE name = %(follower)s), (SELECT max(notification_id) FROM preferences_events), statement_timestamp();

-- name: earliest
-- The earliest time among the last event in the index and the first thousand that are not in it yet. Clocks may be wrong, so a later event
-- can state an earlier time. The times are cut out of the bytes and compared as text, because one unreadable event must not make the audit
-- log unavailable. Never prepared: a plan made while the log was empty would scan for ever.
SELECT min(said COLLATE "C")
FROM (
    SELECT split_part(split_part(encode(state, 'escape'), '"_data_"', 2), '"', 2) AS said
    FROM (
        SELECT state FROM preferences_events WHERE notification_id >= %(reached)s ORDER BY notification_id LIMIT 1001
    ) AS first_ones
) AS times
WHERE said ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$';
