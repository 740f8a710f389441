"""Replaying the log into files."""

from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path

from application.feed import Selection, select
from application.replay import Destination, Progress, Replayed, replay
from domain.catalogue import CATALOGUE
from infrastructure.database import Database
from infrastructure.event_feed import PostgresEventFeed
from infrastructure.replays.lines import LinesFile
from infrastructure.replays.request import Request


class Form(StrEnum):
    """What the log can be replayed into."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def replay_selection(organization: str | None, kind: str | None, channel: str | None, toggle: str | None) -> Selection:
    """Raises `ValidationFailed` for a word that the log can't have."""
    return select(CATALOGUE, organization, kind, channel, toggle)


async def replay_into(url: str, destination: Destination, selection: Selection, progress: Progress) -> Replayed:
    async with Database(url, size=2, connect_within=5, answer_within=60, application="preferences replay") as database:
        return await replay(PostgresEventFeed(database), selection, destination, progress)


def replay_destination(
    form: Form, output: Path, after: int, selection: Selection
) -> AbstractContextManager[Destination]:
    """Raises `ReplayRefused` where this is not to be added to what is there."""
    request = Request.of(after, selection)
    if form is Form.JSONL:
        return LinesFile.open(output, request)
    # Imported when it is wanted: it is larger than all the rest together.
    from infrastructure.replays.parquet import ParquetFolder

    return ParquetFolder.open(output, request)
