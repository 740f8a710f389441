"""Replaying the log."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from api.bootstrap.catalogues import ever_known
from api.bootstrap.relay import running_broker
from api.bootstrap.replay_form import Form
from application.feed.feed import Selection, select
from application.feed.replay import Destination, Progress, Replayed, ReplayRefused, replay
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.postgres.database import Database
from infrastructure.replays.lines import LinesFile
from infrastructure.replays.request import Request
from infrastructure.replays.stream import StreamReplay
from infrastructure.settings import Settings

PIECE_WITHIN: Final = 75.0
"""Seconds for one piece of the log. Nobody waits for a replay, and it can be run again; but it must not stand still for ever."""

_STREAM: Final = re.compile(r"[A-Za-z0-9_-]+")


async def replay_selection(
    url: str, organization: str | None, kind: str | None, channel: str | None, toggle: str | None
) -> Selection:
    """Raises `ValidationFailed` for a word that the log can't have."""
    return await ever_known(url, lambda catalogue: select(catalogue, organization, kind, channel, toggle))


async def replay_into(url: str, destination: Destination, selection: Selection, progress: Progress) -> Replayed:
    async with Database(url, size=2, connect_within=5, answer_within=60, application="preferences replay") as database:
        return await replay(PostgresEventFeed(database, within=PIECE_WITHIN), selection, destination, progress)


@asynccontextmanager
async def replay_destination(
    of: Settings, form: Form, output: str, after: int, selection: Selection
) -> AsyncIterator[Destination]:
    """`output` is a path, or the name of a stream. Raises `ReplayRefused` and the broker's errors where this is not to be
    added to what is there."""
    request = Request.of(after, selection)
    match form:
        case Form.JSONL:
            with LinesFile.open(Path(output), request) as lines:
                yield lines
        case Form.PARQUET:
            # Imported when it is wanted: it is larger than all the rest together.
            from infrastructure.replays.parquet import ParquetFolder

            with ParquetFolder.open(Path(output), request) as folder:
                yield folder
        case Form.NATS:
            _refuse_unsuitable(output, of)
            credentials = str(of.nats_credentials) if of.nats_credentials else None
            with running_broker(of) as servers:
                async with StreamReplay.open(
                    servers,
                    output,
                    request,
                    replicas=of.nats_replicas,
                    max_bytes=of.nats_max_bytes,
                    credentials=credentials,
                ) as stream:
                    yield stream


def _refuse_unsuitable(name: str, of: Settings) -> None:
    if not _STREAM.fullmatch(name):
        raise ReplayRefused(f"{name!r} can't be a stream's name here: letters, digits, - and _")
    if name == of.nats_stream:
        raise ReplayRefused(f"the stream {name} is the relay's own")
