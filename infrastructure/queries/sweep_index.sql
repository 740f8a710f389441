-- name: hold
-- Before the moment that is looked at: setting the index back empties its table, which a look at a former moment would see.
LOCK TABLE audit_entries, audit_classes, followers IN ACCESS SHARE MODE;

-- name: ends
-- Where the index stands, and where a stretch ends that begins after a position: it is bounded by the number of events, since
-- positions have gaps of any size.
SELECT f.position,
       (SELECT notification_id FROM preferences_events WHERE notification_id > %(after)s
        ORDER BY notification_id OFFSET %(limit)s - 1 LIMIT 1)
FROM (VALUES ('audit-index')) AS named (name) LEFT JOIN followers f USING (name);

-- name: ahead
-- Followers that stand behind the end of the log: what comes next would be passed over.
SELECT f.name, f.position, log.ended
FROM followers f CROSS JOIN (SELECT coalesce(max(notification_id), 0) AS ended FROM preferences_events) log
WHERE f.position > log.ended
ORDER BY f.name;

-- name: compare
-- A stretch of the index beside what the log says that it should be: which entries differ, are too many, or are missing.
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
-- Entries where no event can be: before the first position, and behind the one that the index stands at.
SELECT position FROM audit_entries WHERE position < 1 OR position > %(stands_at)s ORDER BY position LIMIT %(most)s;
