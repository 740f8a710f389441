"""Wires the feed of events for a server process."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from api.feed.server_sent_events import encode
from api.operations import read_replica as metrics
from application.feed.live_feed import LiveFeed
from application.feed.live_tail import LiveTail, LogWatch
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.feed.log_watch import PostgresLogWatch
from infrastructure.feed.replica_log_watch import ReplicaLogWatch
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.postgres.read_replica import ReadReplica
from infrastructure.settings import Settings

APPLICATION = "preferences feed"


def open_feed_database(url: str, *, connect_within: float = 10.0) -> Database:
    """A small pool of its own, with long time limits. Readers of the feed wait for each other, and other requests don't wait for them."""
    return Database(url, size=2, connect_within=connect_within, answer_within=10, application=APPLICATION)


def feed(
    settings: Settings, database: ReadDatabase, replica: ReadReplica | None = None
) -> tuple[PostgresEventFeed, LiveFeed]:
    """The feed of recorded events, and the live feed of new ones."""
    recorded = PostgresEventFeed(database)
    tail = LiveTail(_watch(settings, replica), encode)
    return recorded, LiveFeed(recorded, tail, encode, most_readers=settings.feed_readers)


def _watch(settings: Settings, replica: ReadReplica | None) -> Callable[[], AbstractAsyncContextManager[LogWatch]]:
    assert settings.database_url is not None
    name = f"{APPLICATION} tail"
    if settings.read_database_url is None or replica is None:
        return partial(PostgresLogWatch.open, settings.database_url, name)
    return partial(
        ReplicaLogWatch.open, settings.database_url, settings.read_database_url, name, replica, metrics.count
    )
