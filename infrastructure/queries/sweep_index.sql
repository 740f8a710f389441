-- name: hold
-- Taken before the snapshot: resetting the index empties its table, and an earlier snapshot would see the empty table.
LOCK TABLE audit_entries, audit_classes, followers IN ACCESS SHARE MODE;

-- name: ends
-- The index's position, and the end of a stretch that begins after a position. The number of events bounds the stretch, because positions
-- have gaps of any size.
SELECT f.position,
       (SELECT notification_id FROM preferences_events WHERE notification_id > %(after)s
        ORDER BY notification_id OFFSET %(limit)s - 1 LIMIT 1)
FROM (VALUES ('audit-index')) AS named (name) LEFT JOIN followers f USING (name);

-- name: ahead
-- Followers whose position is beyond the end of the log: they would skip the next events.
SELECT f.name, f.position, log.ended
FROM followers f CROSS JOIN (SELECT coalesce(max(notification_id), 0) AS ended FROM preferences_events) log
WHERE f.position > log.ended
ORDER BY f.name;

-- name: compare
-- A stretch of the index beside what the log says: the entries that differ, are too many, or are missing.
SELECT position, l.position IS NULL, e.position IS NULL, count(*) OVER ()
FROM audit_rows(%(after)s, %(up_to)s) l
FULL JOIN (SELECT * FROM audit_entries WHERE position > %(after)s AND position <= %(up_to)s) e USING (position)
LEFT JOIN audit_classes c USING (class)
WHERE (l.occurred_at, l.originator_id, l.organization, l.action, l.channel, l.toggle, l.enabled, l.source, l.actor_kind)
      IS DISTINCT FROM
      (e.occurred_at, e.originator_id, c.organization, c.action, c.channel, c.toggle, c.enabled, c.source, c.actor_kind)
ORDER BY position
LIMIT %(most)s;

-- name: count
-- How many events a stretch has.
SELECT count(*) FROM preferences_events WHERE notification_id > %(after)s AND notification_id <= %(up_to)s;

-- name: outside
-- Entries at positions that can't have one: before the first position, and after the index's own position.
SELECT position FROM audit_entries WHERE position < 1 OR position > %(stands_at)s ORDER BY position LIMIT %(most)s;
