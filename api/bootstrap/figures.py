"""Collects the figures of a server process from the parts that keep them."""

import platform
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from api.http.open_connections import open_connections
from api.http.rate_limit import RateLimit
from api.operations.figures import Figure, Figures, Values
from application.batching import BatchFigures
from application.decisions import Decisions
from application.feed.live_feed import LiveFeed
from application.preferences.preferences import Preferences
from application.unsubscribing import Unsubscribing
from domain.catalogue import CATALOGUE
from domain.provenance import Source
from infrastructure import logs
from infrastructure.log import unreadable_actors
from infrastructure.postgres.database import Database


def figures(
    pools: Mapping[str, Database],
    preferences: Preferences,
    decisions: Decisions,
    live_feed: LiveFeed,
    unsubscribing: Unsubscribing,
    rate_limits: Mapping[str, RateLimit],
) -> Figures:
    """`pools` and `rate_limits` are named as in the metrics' labels."""

    def of_pools(name: str) -> Values:
        return {(pool,): getattr(database.figures, name) for pool, database in pools.items()}

    def connections() -> Values:
        return {
            (pool, state): value
            for pool, database in pools.items()
            for state, value in (("used", database.figures.used), ("idle", database.figures.idle))
        }

    def of_batches(name: str) -> Values:
        batches: Mapping[str, BatchFigures] = {**preferences.batches, **decisions.batches}
        return {(kind,): getattr(found, name) for kind, found in batches.items()}

    def clicks() -> Values:
        return {(source,): unsubscribing.used[source] for source in (Source.ONE_CLICK, Source.LINK)}

    return Figures(
        levels=[
            Figure("preferences_pool_connections", "Connections to PostgreSQL.", connections, ["pool", "state"]),
            Figure(
                "preferences_pool_connections_max",
                "Connections to PostgreSQL that there may be.",
                partial(of_pools, "most"),
                ["pool"],
            ),
            Figure(
                "preferences_pool_waiting",
                "Callers that wait for a connection to PostgreSQL.",
                partial(of_pools, "waiting"),
                ["pool"],
            ),
            Figure(
                "preferences_batch_waiting_items",
                "Items that wait for the next batch.",
                partial(of_batches, "waiting"),
                ["kind"],
            ),
            Figure("preferences_feed_readers", "Readers of the live feed.", lambda: {(): live_feed.readers}),
            Figure(
                "preferences_feed_readers_max",
                "Readers of the live feed that there may be (FEED_READERS).",
                lambda: {(): live_feed.most_readers},
            ),
            Figure(
                "preferences_http_connections",
                "Connections that clients have open, with and without a request.",
                lambda: {(): open_connections.count},
            ),
        ],
        counts=[
            Figure(
                "preferences_pool_timeouts",
                "Callers that got no connection to PostgreSQL in time.",
                partial(of_pools, "timeouts"),
                ["pool"],
            ),
            Figure(
                "preferences_pool_connection_failures",
                "Attempts to connect to PostgreSQL that failed.",
                partial(of_pools, "failures"),
                ["pool"],
            ),
            Figure(
                "preferences_batches",
                "Batches that were handled.",
                partial(of_batches, "batches"),
                ["kind"],
            ),
            Figure(
                "preferences_batch_items",
                "Items of these batches: users read, changes, or questions of senders.",
                partial(of_batches, "items"),
                ["kind"],
            ),
            Figure(
                "preferences_events_appended",
                "Events that changes have appended to the log.",
                lambda: {(): preferences.appended},
            ),
            Figure(
                "preferences_decisions",
                "Decisions whether an e-mail may be sent, one for each user asked about.",
                lambda: {(outcome,): value for outcome, value in decisions.decided.items()},
                ["outcome"],
            ),
            Figure(
                "preferences_unsubscribe_clicks", "Clicks on unsubscribe links that took effect.", clicks, ["source"]
            ),
            Figure(
                "preferences_rate_limited",
                "Changes and clicks that a rate limit has refused.",
                lambda: {(name,): limit.refused for name, limit in rate_limits.items()},
                ["limit"],
            ),
            Figure(
                "preferences_log_lines",
                "Lines of the log from level warning on. The message is empty in a series that is always 0.",
                logs.lines,
                ["level", "message"],
            ),
            Figure(
                "preferences_unreadable_actors",
                "How often an event was read whose actor its person's key does not open.",
                lambda: unreadable_actors.reads,
            ),
        ],
    )


def build() -> Mapping[str, str]:
    """What runs here, as labels of a metric."""
    try:
        ours = version("notification-preferences")
    except PackageNotFoundError:
        ours = "unknown"  # The code runs from a folder that was never installed.
    return {"version": ours, "python": platform.python_version(), "catalogue": str(CATALOGUE.version)}
