-- name: elsewhere
-- Whether the log was last written on another server. It can only be found on a server that can be written to.
SELECT NOT log_is_at_home();

-- name: hold
-- The lock of append_events, and that of the library's own writers: nothing is appended until the end of this transaction.
SELECT pg_advisory_xact_lock(7305114882901);
LOCK TABLE preferences_events IN ROW EXCLUSIVE MODE;

-- name: place
-- Where the log ends here and where it goes on, and the number and the time of the event that says so; no row where the log is at
-- home. The microseconds since 1970 lie beyond all that may have been given out elsewhere, also on a server that this one has never
-- heard from, as long as less than an event a microsecond is written; the billion is for clocks that differ. The sequence may be
-- ahead of the log.
SELECT ended.position,
       greatest(greatest(ended.position, pg_sequence_last_value('preferences_events_notification_id_seq')) + 1000000000,
                (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
       (SELECT coalesce(max(originator_version), 0) + 1 FROM preferences_events WHERE originator_id = %(stream)s),
       clock_timestamp()
FROM (SELECT coalesce(max(notification_id), 0) AS position FROM preferences_events) AS ended
WHERE NOT log_is_at_home();

-- name: append
-- The event, at a position of its own choosing.
INSERT INTO preferences_events (notification_id, originator_id, originator_version, topic, state)
VALUES (%(position)s, %(stream)s, %(version)s, %(topic)s, %(state)s);

-- name: move
-- From here on, the log is at home on this server. Whoever follows it is woken at commit.
INSERT INTO log_servers (since, previous_end, server)
SELECT %(position)s, %(previous_end)s, log_server()
FROM (SELECT pg_notify('preferences_log', ''), pg_notify('preferences_events', '')) AS woken;

-- name: continuations
-- All of them, in their order.
SELECT notification_id, originator_id, originator_version, topic, state
FROM preferences_events
WHERE originator_id = %s
ORDER BY originator_version;

-- name: moved
-- How often the log was continued, where it last was, and where it ended before.
SELECT count(*) - 1, coalesce(max(since) FILTER (WHERE since > previous_end), 0),
       coalesce(max(previous_end) FILTER (WHERE since > previous_end), 0)
FROM log_servers;
