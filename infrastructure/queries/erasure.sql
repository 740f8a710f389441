-- name: destroy_key
-- Destroys the key, so that nothing sealed under it can be read any more. An append under the key at this moment is refused, because the
-- erasure's own event takes its version.
DELETE FROM person_keys WHERE originator_id = %s RETURNING true;

-- name: count_unsealed_events
-- The events of a stream that are older than sealing, and have the actor in their state. A click on an erased
-- person's link has the actor `erased` there, which names no person, so it does not count.
SELECT count(*) FROM preferences_events
WHERE originator_id = %s AND sealed_actor = '' AND convert_from(state, 'UTF8')::jsonb -> 'actor' <> '{"user": "erased"}';
