-- name: register
-- A follower that runs for the first time stands before the first event.
INSERT INTO followers (name) VALUES (%(name)s) ON CONFLICT DO NOTHING;

-- name: lead
-- One runner leads a follower: the one that holds this lock, for as long as its connection lives. The first number says
-- that it is a follower's lock; the status below looks for the same one.
SELECT pg_try_advisory_lock(7305115, hashtext(%(name)s));

-- name: end_stuck
-- The server ends a leader's session that says nothing. It doesn't end one that stopped listening in the middle of an
-- answer: that one waits to be able to write, for ever on a unix socket. So whoever stands by does.
SELECT pg_terminate_backend(a.pid)
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = 7305115 AND l.objid = hashtext(%(name)s)::oid
  AND a.wait_event = 'ClientWrite' AND a.state_change < clock_timestamp() - interval '5 seconds';

-- name: listen
-- append_events notifies on this channel. What is lost on the way is found by looking once in a while.
LISTEN preferences_log;

-- name: state
-- Where it stands.
SELECT position, paused, failed_position FROM followers WHERE name = %(name)s;

-- name: move
-- First in the transaction, so that the row is locked while the effect is written: whoever pauses or resets the follower
-- waits for the end of it, and what they did before makes this find nothing.
UPDATE followers SET position = %(to)s, moved_at = clock_timestamp()
WHERE name = %(name)s AND position = %(position)s AND NOT paused AND failed_position IS NULL
RETURNING position;

-- name: stop
-- Unless somebody has paused it or set it back meanwhile: then the event comes again.
UPDATE followers SET failed_position = %(failed_position)s, failure = %(failure)s
WHERE name = %(name)s AND position = %(position)s AND NOT paused AND failed_position IS NULL
RETURNING position;

-- name: pause
-- Also before it has ever run. Waits for its transaction under way: afterwards, nothing more is handled.
INSERT INTO followers (name, paused) VALUES (%(name)s, true)
ON CONFLICT (name) DO UPDATE SET paused = true;

-- name: resume
-- Paused or stopped by an event: it goes on where it stands.
UPDATE followers SET paused = false, failed_position = NULL, failure = NULL
WHERE name = %(name)s
RETURNING position;

-- name: hold
-- Where it stands, and there it stays until the end of this transaction.
SELECT position FROM followers WHERE name = %(name)s FOR UPDATE;

-- name: set_back
-- What stopped it comes again like all the rest. Who paused it may want to look first, so paused it stays.
UPDATE followers SET position = %(to)s, moved_at = now(), failed_position = NULL, failure = NULL WHERE name = %(name)s;

-- name: status
-- Those that are known here, and those that have ever run. It leads who holds the lock of `lead`. The events behind are
-- counted up to 10,000; beyond, the difference of the positions does, without what no event was given at continuations of the log,
-- which is too large by other gaps. Never prepared: planned while the log was empty, it would scan for ever.
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
