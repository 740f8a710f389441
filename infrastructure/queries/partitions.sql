-- name: guard
-- One change of the partitions at a time in the whole database, as long as the connection lives.
SELECT pg_try_advisory_lock(7305114882908);

-- name: list
-- The tables of the log, in the order of positions: name, first position and the one after the last (null at the ends of the log), about
-- how many events, bytes with indexes, and the tablespace. A log that is not partitioned is one table.
SELECT relname, substring(bound FROM 'FROM \(''(-?\d+)''\)')::bigint AS first, substring(bound FROM 'TO \(''(-?\d+)''\)')::bigint,
       greatest(reltuples, 0)::bigint, pg_total_relation_size(log.oid), spcname
FROM (
    SELECT c.oid, c.relname, c.reltuples, c.reltablespace, pg_get_expr(c.relpartbound, c.oid) AS bound
    FROM pg_class c
    WHERE c.oid = 'preferences_events'::regclass AND c.relkind = 'r'
       OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'preferences_events'::regclass)
) AS log
JOIN pg_database d ON datname = current_database()
JOIN pg_tablespace t ON t.oid = coalesce(nullif(reltablespace, 0), dattablespace)
ORDER BY first NULLS FIRST;

-- name: partitioned
-- Whether the log is partitioned.
SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('preferences_events');

-- name: given
-- The last position that was given: also one whose event is not visible yet.
SELECT greatest((SELECT coalesce(max(notification_id), 0) FROM preferences_events),
                pg_sequence_last_value('preferences_events_notification_id_seq'));

-- name: give_up_closing
-- After a failure.
SELECT give_up_closing();

-- name: bound_to_the_table
-- What is bound to the log's table itself, and would stay with the first partition alone.
SELECT format('view %s', r.ev_class::regclass)
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'preferences_events'::regclass
  AND r.ev_class NOT IN ('events_with_keys'::regclass, 'preferences_events'::regclass)
UNION
SELECT format('publication %s', pubname)
FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid WHERE prrelid = 'preferences_events'::regclass
UNION
SELECT format('publication %s without publish_via_partition_root', pubname)
FROM pg_publication p
WHERE NOT pubviaroot AND (puballtables OR EXISTS (
    SELECT FROM pg_publication_namespace
    WHERE pnpubid = p.oid AND pnnspid = (SELECT relnamespace FROM pg_class WHERE oid = 'preferences_events'::regclass)))
UNION
SELECT format('foreign key of %s', conrelid::regclass) FROM pg_constraint WHERE confrelid = 'preferences_events'::regclass
UNION
SELECT format('privileges on the column %s', attname)
FROM pg_attribute WHERE attrelid = 'preferences_events'::regclass AND attacl IS NOT NULL
UNION
SELECT format('trigger %s', tgname) FROM pg_trigger WHERE tgrelid = 'preferences_events'::regclass AND NOT tgisinternal
UNION
SELECT format('rule %s', rulename) FROM pg_rewrite WHERE ev_class = 'preferences_events'::regclass
UNION
SELECT format('policy %s', polname) FROM pg_policy WHERE polrelid = 'preferences_events'::regclass
ORDER BY 1;

-- name: hold
-- Writers, then all others. Both wait from here to the commit, some milliseconds.
SELECT pg_advisory_xact_lock(7305114882901);
LOCK TABLE preferences_events IN ACCESS EXCLUSIVE MODE;

-- name: stay_in_schema
-- New tables are made in the log's schema, until the transaction ends.
SELECT set_config('search_path', quote_ident(nspname), true)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = 'preferences_events'::regclass;

-- name: convert
-- The present table becomes the only partition of a new one that takes its name. Its column says that no position is missing, and that is
-- all that a partition without bounds has to prove. So no row is read.
SELECT refuse_another_server();
ALTER TABLE preferences_events RENAME TO preferences_events_1;
CREATE TABLE preferences_events (LIKE preferences_events_1 INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION)
    PARTITION BY RANGE (notification_id);
CREATE UNIQUE INDEX ON preferences_events (notification_id);
SELECT copy_settings('preferences_events_1', 'preferences_events');
ALTER SEQUENCE preferences_events_notification_id_seq OWNED BY preferences_events.notification_id;
ALTER TABLE preferences_events ATTACH PARTITION preferences_events_1 FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
-- The view was bound to the former table.
CREATE OR REPLACE VIEW events_with_keys AS
SELECT e.*, k.key
FROM preferences_events e
LEFT JOIN person_keys k ON k.originator_id = e.originator_id AND k.since_version <= e.originator_version;
CREATE TRIGGER one_event_per_version AFTER INSERT ON preferences_events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION one_event_per_version('-9223372036854775808', '9223372036854775807');
-- The one row that is ever changed: the server is the same, and its name contains the table's number.
UPDATE log_servers SET server = log_server() WHERE since = (SELECT max(since) FROM log_servers);

-- name: begin_closing
-- From here on no event gets a position at or after the end.
ALTER TABLE {table} DROP CONSTRAINT IF EXISTS preferences_events_closing,
    ADD CONSTRAINT preferences_events_closing CHECK (notification_id >= {first} AND notification_id < {end}) NOT VALID;

-- name: prove
-- Reads the whole partition, while others read it and append to it. It is what the partition's new bounds take for a proof.
ALTER TABLE {table} VALIDATE CONSTRAINT preferences_events_closing;

-- name: awaited
-- Whether another session waits for a lock on the table.
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = {table_name}::regclass
                                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()));

-- name: close
-- The last partition ends here, and an empty one takes what comes after it. First, whether the constraint is still there: it is proved
-- already, so nothing is read.
ALTER TABLE {table} VALIDATE CONSTRAINT preferences_events_closing;
ALTER TABLE preferences_events DETACH PARTITION {table};
ALTER TABLE preferences_events ATTACH PARTITION {table} FOR VALUES FROM ({bound}) TO ({end});
ALTER TABLE {table} DROP CONSTRAINT preferences_events_closing;
CREATE TABLE {new} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES INCLUDING STORAGE INCLUDING COMPRESSION);

-- name: copy_settings
-- A new partition gets owner, privileges and storage parameters of a former one.
SELECT copy_settings({table_name}, {new_name});

-- name: open
-- The new partition takes what comes after the last one's end.
ALTER TABLE preferences_events ATTACH PARTITION {new} FOR VALUES FROM ({end}) TO (MAXVALUE);
DROP TRIGGER one_event_per_version ON preferences_events;
CREATE TRIGGER one_event_per_version AFTER INSERT ON preferences_events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION one_event_per_version({first}, {end});

-- name: analyze
-- Autovacuum keeps the statistics of each partition, and not those of the whole.
ANALYZE preferences_events;

-- name: copy
-- A copy in the other tablespace, with its indexes. The partition is closed: no event is added to it any more, and none ever changes.
DROP TABLE IF EXISTS {new};
SET LOCAL default_tablespace = {tablespace};
CREATE TABLE {new} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION);
INSERT INTO {new} SELECT * FROM {table} ORDER BY notification_id;
ALTER TABLE {new} ADD PRIMARY KEY (originator_id, originator_version);
CREATE UNIQUE INDEX ON {new} (notification_id);
ALTER TABLE {new}
    ADD CONSTRAINT preferences_events_bounds CHECK (notification_id >= {first} AND notification_id < {end});

-- name: statistics
-- What autovacuum would do later.
VACUUM (ANALYZE) {new};

-- name: seen_by_all
-- Whether every transaction sees the copy's rows. One that began before would find the partition empty.
SELECT relallvisible >= relpages FROM pg_class WHERE oid = {new_name}::regclass;

-- name: drop_copy
-- After a failure.
DROP TABLE IF EXISTS {new};

-- name: exchange
-- The copy takes the partition's place and name.
ALTER TABLE preferences_events DETACH PARTITION {table};
DROP TABLE {table};
ALTER TABLE {new} RENAME TO {table};
ALTER TABLE preferences_events ATTACH PARTITION {table} FOR VALUES FROM ({bound}) TO ({end});
ALTER TABLE {table} DROP CONSTRAINT preferences_events_bounds;
