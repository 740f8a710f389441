"""Wires the feed of events for a server process."""

from functools import partial

from api.bootstrap.replication import replicated_end
from api.feed.server_sent_events import encode
from application.feed.live_feed import LiveFeed
from application.feed.live_tail import LiveTail
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.feed.log_watch import PostgresLogWatch
from infrastructure.postgres.database import Database
from infrastructure.settings import Settings

APPLICATION = "preferences feed"


def open_feed_database(url: str) -> Database:
    """A small pool of its own, with long time limits. Readers of the feed wait for each other, and other requests don't wait for them."""
    return Database(url, size=2, connect_within=10, answer_within=10, application=APPLICATION)


def feed(settings: Settings, database: Database) -> tuple[PostgresEventFeed, LiveFeed]:
    """The feed of recorded events, and the live feed of new ones."""
    assert settings.database_url is not None
    # One for both: the tail must not be further than what its readers can read.
    replicated = replicated_end(settings)
    recorded = PostgresEventFeed(database, replicated=replicated)
    watch = partial(PostgresLogWatch.open, settings.database_url, f"{APPLICATION} tail", replicated=replicated)
    tail = LiveTail(watch, encode)
    return recorded, LiveFeed(recorded, tail, encode, most_readers=settings.feed_readers)
