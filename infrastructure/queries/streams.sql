-- name: evidence
-- One user's stream and the catalogue's, each read by its primary key, in one statement: both as of the same moment.
SELECT e.originator_id, e.originator_version, e.topic, e.state, e.sealed_actor, k.key
FROM preferences_events e LEFT JOIN person_keys k USING (originator_id)
WHERE e.originator_id = ANY (%s)
ORDER BY e.originator_id, e.originator_version;
