-- name: destroy_key
-- Nothing that was sealed under it can be read any more. Whoever appends under it at this moment is refused by the version
-- that the erasure's own event takes.
DELETE FROM person_keys WHERE originator_id = %s RETURNING true;

-- name: in_the_open
-- Events of a stream that are older than sealing, and name who acted in their state.
SELECT count(*) FROM preferences_events
WHERE originator_id = %s AND sealed_actor = '' AND convert_from(state, 'UTF8')::jsonb ? 'actor';
