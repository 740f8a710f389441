-- name: of_organization
-- How far the audit log's index has come, and the first events of an organization behind a position, from its primary
-- key: as many of each class, then the first of all these; with them the few of the catalogue and of the log itself, which
-- are everybody's. One statement is one snapshot, so what the index hasn't, up to where it has come, is not there, and nothing
-- from behind is taken twice. Never prepared: a plan for any number of classes would read them whole.
WITH reached AS MATERIALIZED (
    SELECT position FROM followers WHERE name = %(follower)s
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
