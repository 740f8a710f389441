"""Checks that the service can keep its promises with this database, and with the connection that leads to it."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

import psycopg

from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, UnsuitableDatabase, connect_blocking, spelt
from infrastructure.postgres.sql import queries

_SESSION: Final = Session(application="preferences check", connect_within=5, answer_within=10)

READ_ONLY: Final = "refuses writes: it is read-only"

_SHARED: Final = (
    "the pooler gives each transaction another connection (PgBouncer's pool_mode = transaction or statement), and the service keeps "
    "sessions: set pool_mode = session for this database, or connect to PostgreSQL itself"
)
_OPTIONS: Final = "the pooler doesn't pass on the `options` of DATABASE_URL: leave them out, and set them with ALTER ROLE … SET for the role instead"


_UNSEEN: Final = (
    "the role {role} may not see what standbys have confirmed, which DATABASE_REPLICATION=synchronous needs: "
    "GRANT pg_read_all_stats TO {role}"
)
_NO_STANDBYS: Final = (
    "synchronous_standby_names is empty, so commits wait for no standby, and with DATABASE_REPLICATION=synchronous followers and readers of "
    "the feed wait until it is set"
)


class Weight(Enum):
    """What a fault prevents."""

    READY = auto()
    """The service can start, but it is not ready until the fault has passed."""
    DURABLE = auto()
    """In production the service must not serve, because an acknowledged change can be lost."""
    UNSEEN = auto()
    """Nothing could be followed, shown or signed."""
    ALL = auto()
    """The service does nothing with such a database."""


class Fault(NamedTuple):
    weight: Weight
    sentence: str


class Server(NamedTuple):
    version: str
    faults: list[Fault]


def look_at(url: str, *, trusted: bool, replicated: bool = False, parts: Sequence[str] = ()) -> Server:
    """`trusted`: the storage below the database keeps writes that PostgreSQL itself does not sync. `replicated`: readers of the log wait for
    synchronous standbys. `parts`: the parts of the service (rights.sql) that the role must have the rights for. Raises psycopg's errors, and
    `UnsuitableDatabase`, if there is no connection to check.
    """
    try:
        with connect_blocking(url, _SESSION, autocommit=True) as connection:
            row = connection.execute(queries("suitability")["server"]).fetchone()
            assert row is not None
            encoding, fsync, full_page_writes, read_only, role, sees_standbys, standby_names = row
            faults = []
            if encoding != "UTF8":
                faults.append(Fault(Weight.ALL, f"its encoding is {encoding}: create it with ENCODING 'UTF8'"))
            if _is_shared(connection, url):
                faults.append(Fault(Weight.ALL, _SHARED))
            for name, on in (("fsync", fsync), ("full_page_writes", full_page_writes)):
                if not on and not trusted:
                    faults.append(
                        Fault(
                            Weight.DURABLE,
                            f"{name} is off: what was acknowledged is lost, or the database broken, when its machine dies. Set it "
                            "on; where the storage itself keeps what is written, set DATABASE_STORAGE=durable",
                        )
                    )
            if replicated and not sees_standbys:
                faults.append(Fault(Weight.UNSEEN, _UNSEEN.format(role=role)))
            if replicated and not standby_names:
                faults.append(Fault(Weight.READY, _NO_STANDBYS))
            if read_only:
                faults.append(Fault(Weight.READY, f"it {READ_ONLY}"))
            [(lacking,)] = connection.execute(queries("rights")["lacking"], {"parts": [*parts]}).fetchall()
            if lacking:
                faults.append(Fault(Weight.READY, f"{lacking}: grant them to it (docs/production.md, Two roles)"))
            return Server(spelt(connection.info.server_version), faults)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter: options" in str(error):
            raise UnsuitableDatabase(_OPTIONS) from error
        raise


def refuse(url: str, *, durable: bool, trusted: bool, replicated: bool = False) -> None:
    """Raises `UnsuitableDatabase` if the database can't be used at all, with `durable` if an acknowledged change can be lost, and with
    `replicated` if the role may not see what standbys have confirmed.
    """
    weights = {Weight.ALL, Weight.UNSEEN, *([Weight.DURABLE] if durable else [])}
    for fault in look_at(url, trusted=trusted, replicated=replicated).faults:
        if fault.weight in weights:
            raise UnsuitableDatabase(f"the database can't be used: {fault.sentence}")


def _is_shared(first: BlockingConnection, url: str) -> bool:
    """Whether a pooler shares sessions: two of ours get the same PostgreSQL session, or one of ours gets two.

    The second session holds its PostgreSQL session in a transaction. If the pooler gives a session back after each statement, it has
    given the first one's to the second, or gives the first one another now.
    """
    began_with = _process(first)
    try:
        with connect_blocking(url, _SESSION, autocommit=True) as second, second.transaction():
            return _process(second) == began_with or _process(first) != began_with
    except psycopg.Error as error:
        if "statement pooling" in str(error):
            return True
        raise


def _process(connection: BlockingConnection) -> int:
    row = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    assert row is not None
    return int(row[0])
