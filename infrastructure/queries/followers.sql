-- name: register
-- A follower that runs for the first time begins before the first event.
INSERT INTO followers (name) VALUES (%(name)s) ON CONFLICT DO NOTHING;

-- name: lead
-- One runner leads a follower: the one that holds this lock, as long as its connection lives. The first number marks a follower's lock;
-- the statement `status` below looks for the same number.
SELECT pg_try_advisory_lock(7305115, hashtext(%(name)s));

-- name: end_stuck
-- The server ends the session of a silent leader. But it does not end one that stopped reading in the middle of an answer: such a session
-- waits to be able to write, on a unix socket for ever. So a waiting runner ends it.
SELECT pg_terminate_backend(a.pid)
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = 7305115 AND l.objid = hashtext(%(name)s)::oid
  AND a.wait_event = 'ClientWrite' AND a.state_change < clock_timestamp() - interval '5 seconds';

-- name: listen
-- append_events notifies on this channel. A notification can be lost, so a follower also looks from time to time.
LISTEN preferences_log;

-- name: unlisten
-- While the log is busy, a follower looks after each rest anyway. Each notification would cost the server a wake-up of its session.
UNLISTEN preferences_log;

-- name: state
-- The follower's position.
SELECT position, paused, failed_position FROM followers WHERE name = %(name)s;

-- name: stretch
-- The next part of the log for a follower that needs no events: its last position, the number of events, and the first of them whose type
-- this release doesn't know. A follower must stop there, because a later release may make something of it. The number of events bounds
-- the part, because positions have gaps of any size. Never prepared: a plan made while the log was empty would scan for ever.
SELECT max(notification_id), count(*), min(notification_id) FILTER (WHERE topic <> ALL (%(types)s))
FROM (
    SELECT notification_id, topic FROM preferences_events
    WHERE notification_id > %(position)s ORDER BY notification_id LIMIT %(limit)s
) AS next;

-- name: move
-- Runs first in the transaction, so that the row is locked while the effect is written. A pause or a reset waits for the end of the
-- transaction. If it came first, this statement finds no row.
UPDATE followers SET position = %(to)s, moved_at = clock_timestamp()
WHERE name = %(name)s AND position = %(position)s AND NOT paused AND failed_position IS NULL
RETURNING position;

-- name: stop
-- Unless the follower was paused or reset meanwhile: then the event comes again.
UPDATE followers SET failed_position = %(failed_position)s, failure = %(failure)s
WHERE name = %(name)s AND position = %(position)s AND NOT paused AND failed_position IS NULL
RETURNING position;

-- name: pause
-- Works also before the follower has ever run. Waits for its running transaction: afterwards nothing more is handled.
INSERT INTO followers (name, paused) VALUES (%(name)s, true)
ON CONFLICT (name) DO UPDATE SET paused = true;

-- name: resume
-- A follower that was paused, or stopped by an event, goes on from its position.
UPDATE followers SET paused = false, failed_position = NULL, failure = NULL
WHERE name = %(name)s
RETURNING position;

-- name: hold
-- The follower's position, which stays the same until the end of this transaction.
SELECT position FROM followers WHERE name = %(name)s FOR UPDATE;

-- name: set_back
-- The event that stopped the follower comes again like all others. A paused follower stays paused, because the operator who paused it may
-- want to look first.
UPDATE followers SET position = %(to)s, moved_at = now(), failed_position = NULL, failure = NULL WHERE name = %(name)s;

-- name: status
-- The followers of this release, and those that have ever run. The leader is the holder of the lock of `lead`. The events behind are
-- counted up to 10,000. Beyond that, the difference of the positions is used, minus the positions that continuations of the log skipped.
-- Other gaps make that difference too large. Never prepared: a plan made while the log was empty would scan for ever.
SELECT name, coalesce(f.position, 0), coalesce(f.paused, false), f.failed_position, f.failure, f.moved_at,
       EXISTS (SELECT FROM pg_locks l
               WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
                 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND l.classid = 7305115 AND l.objid = hashtext(name)::oid),
       CASE WHEN behind.counted > 10000 THEN log.last - coalesce(f.position, 0) - skipped.positions ELSE behind.counted END,
       next.state
FROM (SELECT name FROM followers UNION SELECT unnest(%(names)s::text[])) known
LEFT JOIN followers f USING (name)
CROSS JOIN (SELECT coalesce(max(notification_id), 0) AS last FROM preferences_events) log
CROSS JOIN LATERAL (
    SELECT count(*) AS counted
    FROM (SELECT FROM preferences_events WHERE notification_id > coalesce(f.position, 0)
          ORDER BY notification_id LIMIT 10001) first_ones
) behind
CROSS JOIN LATERAL (
    SELECT coalesce(sum(greatest(since - 1 - greatest(previous_end, f.position), 0)), 0)::bigint AS positions
    FROM log_servers WHERE since > coalesce(f.position, 0)
) skipped
LEFT JOIN LATERAL (
    SELECT state FROM preferences_events WHERE notification_id > coalesce(f.position, 0)
    ORDER BY notification_id LIMIT 1
) next ON true
ORDER BY name;
