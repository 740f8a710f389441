"""The feed of events, as a server process offers it."""

from functools import partial

from api.feed import server_sent_events as event_stream
from api.feed.answers import FeedAnswers
from api.feed.server_sent_events import EventStream
from application.feed.live_feed import LiveFeed
from application.feed.live_tail import LiveTail
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.feed.log_watch import PostgresLogWatch
from infrastructure.postgres.database import Database
from infrastructure.settings import Settings

APPLICATION = "preferences feed"


def open_feed_database(url: str) -> Database:
    """A small pool of its own, and patience: readers of the feed wait for each other, and nobody else for them."""
    return Database(url, size=2, connect_within=10, answer_within=10, application=APPLICATION)


def feed_answers(of: Settings, database: Database) -> FeedAnswers:
    assert of.database_url is not None
    feed = PostgresEventFeed(database)
    tail = LiveTail(partial(PostgresLogWatch.open, of.database_url, f"{APPLICATION} tail"), event_stream.encode)
    live = LiveFeed(feed, tail, event_stream.encode, most_readers=of.feed_readers)
    return FeedAnswers(feed, EventStream(live, of.feed_heartbeat), of.feed_send_within)
