-- name: of_organization
-- The position of the audit index, and the first events of an organization after a position. Takes up to `limit` entries of each class by
-- the primary key, then the first of all these, together with the few events of the catalogue and of the log itself, which concern all
-- organizations. No event after `up_to` is taken, as if the log ended there. One statement reads one snapshot: up to its position the index is complete, and no event from after it is taken twice.
-- Never prepared: a plan for any number of classes would read whole classes.
WITH reached AS MATERIALIZED (
    SELECT least(position, %(up_to)s) AS position FROM followers WHERE name = %(follower)s
), fitting AS MATERIALIZED (
    SELECT class FROM audit_classes
    WHERE organization = %(organization)s AND action = ANY (%(actions)s)
      AND (%(channel)s::text IS NULL OR channel = %(channel)s)
      AND (%(toggle)s::text IS NULL OR toggle = %(toggle)s)
), found AS (
    SELECT e.position
    FROM fitting CROSS JOIN LATERAL (
        SELECT position FROM audit_entries
        WHERE class = fitting.class AND position > %(after)s AND position <= (SELECT position FROM reached)
        ORDER BY position
        LIMIT %(limit)s
    ) e
    UNION ALL
    SELECT notification_id FROM preferences_events
    WHERE originator_id = ANY (%(common)s)
      AND notification_id > %(after)s AND notification_id <= (SELECT position FROM reached)
    ORDER BY position
    LIMIT %(limit)s
)
SELECT reached.position, found.position
FROM reached LEFT JOIN found ON true
ORDER BY found.position;
