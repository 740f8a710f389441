-- The index of the audit log. Events are sorted into classes by everything that they can be asked for, other than user
-- and time; an organization has some dozens. A filter picks classes, a page is the newest of each, merged: so it costs the
-- same for every filter, however rarely anything fits it. Nothing in here is personal, so erasure need not touch it.
CREATE TABLE audit_classes (
    class        integer NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization text    NOT NULL,
    action       text    NOT NULL,
    channel      text,
    toggle       text,
    enabled      boolean,
    source       text    NOT NULL,
    actor_kind   text    NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization, action, channel, toggle, enabled, source, actor_kind)
);

-- One row for each event of an organization. No foreign key to the classes: the follower alone writes both, in one
-- transaction, and a check for each row would be paid for nothing.
CREATE TABLE audit_entries (
    position      bigint      NOT NULL,
    occurred_at   timestamptz NOT NULL,
    originator_id uuid        NOT NULL,
    class         integer     NOT NULL,
    PRIMARY KEY (class, position)
) WITH (
    -- Rows are never updated: what matters is that inserts keep the visibility map fresh, which spares readers the table.
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02
);

CREATE INDEX audit_entries_by_time ON audit_entries (class, occurred_at, position);
CREATE INDEX audit_entries_of_stream ON audit_entries (originator_id, class, occurred_at, position);

-- Who read what of others. `filter` has streams in the place of users, `reader` and `impersonator` are blanked when the
-- reader is erased, who is known by `reader_stream`. `outcome` is null as long as nobody knows how the reading ended: it
-- is under way, or the process died.
CREATE TABLE audit_reads (
    id            text        NOT NULL PRIMARY KEY,
    at            timestamptz NOT NULL,
    organization  text,
    reader        text        NOT NULL,
    impersonator  text,
    reader_stream uuid,
    action        text        NOT NULL,
    filter        jsonb       NOT NULL,
    count         bigint,
    outcome       text        CHECK (outcome IN ('complete', 'aborted')),
    request_id    text        NOT NULL
);

CREATE INDEX audit_reads_of_organization ON audit_reads (organization, id);
CREATE INDEX audit_reads_of_reader ON audit_reads (reader_stream) WHERE reader_stream IS NOT NULL;
