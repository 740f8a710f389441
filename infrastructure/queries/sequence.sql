-- name: behind
-- The end of the log and the sequence's last value, where the latter is behind.
SELECT log.ended, coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0)
FROM (SELECT coalesce(max(notification_id), 0) AS ended FROM preferences_events) AS log
WHERE log.ended > coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0);

-- name: hold
-- The lock of append_events: the sequence mustn't be set back behind what is appended meanwhile.
SELECT pg_advisory_xact_lock(7305114882901);

-- name: set_forward
-- To the end of the log, by whoever may.
SELECT set_sequence_forward(%s);
