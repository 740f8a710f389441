"""Wires the read replica, for reads that are heavy and may lag behind the primary."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Metric

from api.bootstrap.feeds import open_feed_database
from api.operations import read_replica as metrics
from api.operations.background import running
from infrastructure.audit.log import open_database
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import ReadDatabase, Replica
from infrastructure.postgres.read_replica import ReadReplica
from infrastructure.settings import Settings

CONNECT_WITHIN: Final = 1.0
"""Seconds that a read waits for a connection to the standby. Then the primary is asked."""

log = structlog.get_logger("read_replica")


@dataclass(frozen=True, slots=True)
class ReadDatabases:
    """The pools for the reads of the audit log and of the feed, each with a pool of its own on the standby, if there is one."""

    audit: ReadDatabase
    feed: ReadDatabase
    replica: ReadReplica | None = None
    watching: Database | None = None
    """The pool of the connection that measures the standby. A read never keeps it waiting."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The database that `read_databases` got must be open already."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.audit.opened())
            await stack.enter_async_context(self.feed.opened())
            if self.replica is not None and self.watching is not None:
                await stack.enter_async_context(self.watching)
                await self.replica.measure()
                await stack.enter_async_context(running(self.replica.follow(), "read replica"))
            yield

    @property
    def pools(self) -> dict[str, Database]:
        """The pools by their names in the metrics."""
        both = {"audit": self.audit, "feed": self.feed}
        standbys = {f"{name}_replica": reads.standby for name, reads in both.items() if reads.standby is not None}
        return {name: reads.primary for name, reads in both.items()} | standbys

    def collect(self) -> Iterable[Metric]:
        return () if self.replica is None else metrics.collect(self.replica.lag, used=self.replica.usable)


def read_databases(settings: Settings, primary: Database) -> ReadDatabases:
    """`primary` is asked how far it has written its WAL."""
    assert settings.database_url is not None
    audit, feed = open_database(settings.database_url), open_feed_database(settings.database_url)
    url = settings.read_database_url
    if url is None:
        return ReadDatabases(ReadDatabase(audit), ReadDatabase(feed))
    watching = Database(url, size=1, connect_within=CONNECT_WITHIN, application="preferences read replica")
    replica = ReadReplica(primary, watching, settings.read_lag_limit)
    return ReadDatabases(
        ReadDatabase(audit, Replica(open_database(url, connect_within=CONNECT_WITHIN), replica, metrics.count)),
        ReadDatabase(feed, Replica(open_feed_database(url, connect_within=CONNECT_WITHIN), replica, metrics.count)),
        replica,
        watching,
    )
