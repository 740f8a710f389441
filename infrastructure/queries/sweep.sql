-- name: lead
-- One process at a time takes the steps of a leg. The first number marks a lock of the sweep.
SELECT pg_try_advisory_lock(7305116, hashtext(%(leg)s));

-- name: let_go
-- Another process may take the next step.
SELECT pg_advisory_unlock(7305116, hashtext(%(leg)s));

-- name: begin
-- Register a leg that was never swept.
INSERT INTO sweep (leg) VALUES (%(leg)s) ON CONFLICT DO NOTHING;

-- name: leg
-- The progress of one leg.
SELECT pass, began_at, state, events, greatest(events_before, log_about()), completed_at, clock_timestamp()
FROM sweep WHERE leg = %(leg)s;

-- name: legs
-- The progress of all legs.
SELECT leg, pass, began_at, events, greatest(events_before, log_about()), completed_at, state IS NOT NULL
FROM sweep ORDER BY leg;

-- name: begin_pass
-- Begin the next pass.
UPDATE sweep SET pass = pass + 1, began_at = clock_timestamp(), state = NULL, events = 0,
                 events_before = CASE WHEN events > 0 THEN events ELSE events_before END
WHERE leg = %(leg)s
RETURNING pass;

-- name: go_on
-- Record a step.
UPDATE sweep SET state = %(state)s, events = events + %(events)s WHERE leg = %(leg)s;

-- name: complete
-- Record the last step of a pass.
UPDATE sweep SET state = NULL, events = events + %(events)s, completed_at = clock_timestamp() WHERE leg = %(leg)s;

-- name: find
-- Record a finding. A known one is updated. A new one is left out if so many of its kind are known that one more would say nothing.
INSERT INTO sweep_findings (leg, kind, place, sentence, pass)
SELECT %(leg)s, %(kind)s, %(place)s, %(sentence)s, %(pass)s
WHERE (SELECT count(*) FROM sweep_findings WHERE leg = %(leg)s AND kind = %(kind)s AND mended_at IS NULL) < %(most)s
   OR EXISTS (SELECT FROM sweep_findings WHERE leg = %(leg)s AND kind = %(kind)s AND place = %(place)s AND mended_at IS NULL)
ON CONFLICT (leg, kind, place) WHERE mended_at IS NULL DO UPDATE SET pass = excluded.pass, sentence = excluded.sentence
RETURNING xmax = 0;

-- name: mend
-- Findings that a whole pass no longer found are mended.
UPDATE sweep_findings SET mended_at = clock_timestamp()
WHERE leg = %(leg)s AND pass < %(pass)s AND mended_at IS NULL
RETURNING kind, place, sentence;

-- name: findings
-- What is wrong at this moment, the oldest first.
SELECT kind, place, sentence, found_at FROM sweep_findings WHERE mended_at IS NULL ORDER BY id;
