"""Wires the replay of the log."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from api.bootstrap.catalogues import ever_known
from api.bootstrap.replay_form import Form
from api.bootstrap.replication import replicated_end
from application.feed.feed import Selection, select
from application.feed.replay import Destination, Replayed, ReplayRefused, replay
from application.progress import Progress
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import CaughtUp, ReadDatabase, Replica
from infrastructure.replays.lines import LinesFile
from infrastructure.replays.request import Request
from infrastructure.settings import Settings

PIECE_WITHIN: Final = 75.0
"""Seconds that reading one piece of the log may take. A replay is not urgent and can be run again, but it must not hang for ever."""

_STREAM: Final = re.compile(r"[A-Za-z0-9_-]+")


async def replay_selection(
    url: str, organization: str | None, kind: str | None, channel: str | None, toggle: str | None
) -> Selection:
    """Raises `ValidationFailed` for a word that can't be in the log."""
    return await ever_known(url, lambda catalogue: select(catalogue, organization, kind, channel, toggle))


async def replay_into(
    settings: Settings,
    url: str,
    standby: str | None,
    destination: Destination,
    selection: Selection,
    progress: Progress,
) -> Replayed:
    """`standby` is the URL of a standby that has all that the primary has now, if there is one. Only the primary knows what standbys have
    confirmed, so it is read if that matters.
    """
    replicated = replicated_end(settings)
    replica = None if standby is None or replicated is not None else Replica(_database(standby), CaughtUp())
    database = ReadDatabase(_database(url), replica)
    async with database.opened():
        feed = PostgresEventFeed(database, within=PIECE_WITHIN, replicated=replicated)
        return await replay(feed, selection, destination, progress)


@asynccontextmanager
async def replay_destination(
    settings: Settings, form: Form, output: str, after: int, selection: Selection
) -> AsyncIterator[Destination]:
    """`output` is a path, or the name of a stream. Raises `ReplayRefused`, or an error of the broker, if this replay must not be added
    to the present content of the destination."""
    request = Request.of(after, selection)
    match form:
        case Form.JSONL:
            with LinesFile.open(Path(output), request) as lines:
                yield lines
        case Form.PARQUET:
            # Imported only here, because its library is larger than all the rest together.
            from infrastructure.replays.parquet import ParquetFolder

            with ParquetFolder.open(Path(output), request) as folder:
                yield folder
        case Form.NATS:
            # The same for the broker's library.
            from api.bootstrap.relay import running_broker
            from infrastructure.replays.stream import StreamReplay

            _refuse_unsuitable(output, settings)
            credentials = str(settings.nats_credentials) if settings.nats_credentials else None
            with running_broker(settings) as servers:
                async with StreamReplay.open(
                    servers,
                    output,
                    request,
                    replicas=settings.nats_replicas,
                    max_bytes=settings.nats_max_bytes,
                    credentials=credentials,
                ) as stream:
                    yield stream


def _database(url: str) -> Database:
    return Database(url, size=2, connect_within=5, answer_within=60, application="preferences replay")


def _refuse_unsuitable(name: str, settings: Settings) -> None:
    if not _STREAM.fullmatch(name):
        raise ReplayRefused(f"{name!r} can't be a stream's name here: letters, digits, - and _")
    if name == settings.nats_stream:
        raise ReplayRefused(f"the stream {name} is the relay's own")
