"""Whether the service can keep its promises with a database, and by the way that leads there."""

from enum import Enum, auto
from typing import Final, NamedTuple

import psycopg

from infrastructure.log.readiness import READ_ONLY
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, UnsuitableDatabase, connect_blocking, spelt
from infrastructure.postgres.sql import queries

_SESSION: Final = Session(application="preferences check", connect_within=5, answer_within=10)

_SHARED: Final = (
    "the pooler gives each transaction another connection (PgBouncer's pool_mode = transaction or statement), and the service keeps "
    "sessions: set pool_mode = session for this database, or connect to PostgreSQL itself"
)
_OPTIONS: Final = "the pooler doesn't pass on the `options` of DATABASE_URL: leave them out, and set them with ALTER ROLE … SET for the role instead"


class Weight(Enum):
    """What a fault keeps the service from."""

    READY = auto()
    """It can start, and isn't ready until that has passed."""
    DURABLE = auto()
    """In production it must not serve: what it acknowledged can be lost."""
    ALL = auto()
    """Nothing is done with such a database."""


class Fault(NamedTuple):
    weight: Weight
    sentence: str


class Server(NamedTuple):
    version: str
    faults: list[Fault]


def look_at(url: str, *, trusted: bool) -> Server:
    """`trusted`: the storage below the database keeps what PostgreSQL itself doesn't sync. Raises psycopg's errors, and
    `UnsuitableDatabase`, where there is no connection to look through."""
    try:
        with connect_blocking(url, _SESSION, autocommit=True) as connection:
            row = connection.execute(queries("suitability")["server"]).fetchone()
            assert row is not None
            encoding, fsync, full_page_writes, read_only = row
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
            if read_only:
                faults.append(Fault(Weight.READY, f"it {READ_ONLY}"))
            return Server(spelt(connection.info.server_version), faults)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter: options" in str(error):
            raise UnsuitableDatabase(_OPTIONS) from error
        raise


def refuse(url: str, *, durable: bool, trusted: bool) -> None:
    """Raises `UnsuitableDatabase` where nothing can be done with the database or, if what is acknowledged has to be `durable`,
    where it isn't."""
    weights = {Weight.ALL, Weight.DURABLE} if durable else {Weight.ALL}
    for fault in look_at(url, trusted=trusted).faults:
        if fault.weight in weights:
            raise UnsuitableDatabase(f"the database can't be used: {fault.sentence}")


def _is_shared(first: BlockingConnection, url: str) -> bool:
    """Whether two sessions of ours have had the same one of PostgreSQL's, or one of ours two of PostgreSQL's.

    The other one holds what it was given by a transaction: then the first one, if it gives its own back after each statement,
    has given it to the other one, or is given another one now.
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
