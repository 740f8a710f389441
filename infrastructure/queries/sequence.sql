-- name: behind
-- The end of the log and the sequence's last value, if the sequence is behind.
SELECT log.ended, coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0)
FROM (SELECT coalesce(max(notification_id), 0) AS ended FROM preferences_events) AS log
WHERE log.ended > coalesce(pg_sequence_last_value('preferences_events_notification_id_seq'), 0);

-- name: set_forward
-- Set the sequence to the end of the log, if the role may do that.
SELECT set_sequence_forward(%s);
