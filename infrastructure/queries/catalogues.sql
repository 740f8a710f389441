-- name: published
-- The catalogue's stream, by its primary key, oldest first.
SELECT originator_id, originator_version, topic, state
FROM preferences_events
WHERE originator_id = %s
ORDER BY originator_version;

-- name: append
-- Append a catalogue, unless another one came first. The lock is that of append_events, for the same reason: it is taken before the
-- position, so the log stays readable in order. Both statements are sent at once and are one transaction, and the second one sees what
-- was committed while the first one waited. The second channel is the eventsourcing library's.
SELECT pg_advisory_xact_lock(7305114882901);
INSERT INTO preferences_events (originator_id, originator_version, topic, state)
SELECT %(stream)s, %(version)s, %(topic)s, %(state)s
WHERE %(follows)s IS NOT DISTINCT FROM
      (SELECT max(originator_version) FROM preferences_events WHERE originator_id = %(stream)s)
RETURNING notification_id, pg_notify('preferences_log', ''), pg_notify('preferences_events', '');

-- name: unchosen
-- How many users have no choice for each of these toggles and (the row without a path) for at least one of them, in one pass.
SELECT p.path, count(c.originator_id), count(*) FILTER (
           WHERE CASE WHEN p.path IS NULL THEN NOT c.choices ?& %(paths)s::text[] ELSE NOT c.choices ? p.path END)
FROM unnest(array_append(%(paths)s::text[], NULL)) AS p (path)
LEFT JOIN current_preferences c ON true
GROUP BY p.path;
