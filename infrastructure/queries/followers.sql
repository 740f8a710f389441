-- name: register
-- A follower that runs for the first time stands before the first event.
INSERT INTO followers (name) VALUES (%(name)s) ON CONFLICT DO NOTHING;

-- name: lead
-- One runner leads a follower: the one that holds this lock, for as long as its connection lives. The first number says
-- that it is a follower's lock; the status below looks for the same one.
SELECT pg_try_advisory_lock(7305115, hashtext(%(name)s));

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
