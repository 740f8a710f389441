-- name: elsewhere
-- Whether the log's last writer was another server. Only a server that takes writes can answer.
SELECT NOT log_is_at_home();

-- name: hold
-- The lock of append_events, and that of the library's own writers: nothing is appended until this transaction ends.
SELECT pg_advisory_xact_lock(7305114882901);
LOCK TABLE preferences_events IN ROW EXCLUSIVE MODE;

-- name: give_up_closing
-- A partition that is being closed would end before the next event.
SELECT give_up_closing();

-- name: place
-- The end of the log here, the position at which it goes on, and the version and time of the event that records it. No row if the log is
-- at home. The new position is at least the number of microseconds since 1970. That is beyond every position that another server may have
-- assigned, even one that this server never heard from, as long as less than an event a microsecond is written. The billion is for clocks
-- that differ. The sequence may be ahead of the log.
SELECT ended.position,
       greatest(greatest(ended.position, pg_sequence_last_value('preferences_events_notification_id_seq')) + 1000000000,
                (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
       (SELECT coalesce(max(originator_version), 0) + 1 FROM preferences_events WHERE originator_id = %(stream)s),
       clock_timestamp()
FROM (SELECT coalesce(max(notification_id), 0) AS position FROM preferences_events) AS ended
WHERE NOT log_is_at_home();

-- name: append
-- Append the event at this position.
INSERT INTO preferences_events (notification_id, originator_id, originator_version, topic, state)
VALUES (%(position)s, %(stream)s, %(version)s, %(topic)s, %(state)s);

-- name: move
-- From here on, the log is at home on this server. The commit wakes every follower of the log.
INSERT INTO log_servers (since, previous_end, server)
SELECT %(position)s, %(previous_end)s, log_server()
FROM (SELECT pg_notify('preferences_log', ''), pg_notify('preferences_events', '')) AS woken;

-- name: continuations
-- All continuations, in their order.
SELECT notification_id, originator_id, originator_version, topic, state
FROM preferences_events
WHERE originator_id = %s
ORDER BY originator_version;

-- name: moved
-- How often the log was continued, the position of the last continuation, and the end of the log before it.
SELECT count(*) - 1, coalesce(max(since) FILTER (WHERE since > previous_end), 0),
       coalesce(max(previous_end) FILTER (WHERE since > previous_end), 0)
FROM log_servers;
