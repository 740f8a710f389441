"""Runs the sweep, which checks all stored data against the log, and reports its status."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import psycopg
import structlog

from api.bootstrap.evidence import note_reader
from api.bootstrap.operator_database import operator_database
from application.evidence.sweep import Finding, SweepStatus
from application.progress import Progress
from infrastructure.evidence.checkpoint_file import CheckpointFile
from infrastructure.evidence.sweep.daily_counts import DailyCountsLeg
from infrastructure.evidence.sweep.index_leg import IndexLeg
from infrastructure.evidence.sweep.journal import sweep_status
from infrastructure.evidence.sweep.leg import Leg, check
from infrastructure.evidence.sweep.log_leg import LogLeg
from infrastructure.evidence.sweep.stream_leg import StreamLeg
from infrastructure.evidence.sweep.sweeper import Sweeper, sweep_at_once
from infrastructure.settings import Settings

PAUSE: Final = 5.0
"""Seconds until the sweep tries again when the database can't be reached."""

log = structlog.get_logger("sweep")


def legs(settings: Settings) -> Sequence[Leg]:
    return [
        LogLeg(CheckpointFile(settings.published_checkpoints), note_reader(settings), settings.audit_origin),
        IndexLeg(),
        DailyCountsLeg(),
        StreamLeg(),
    ]


def check_beside(url: str, progress: Progress) -> list[Finding]:
    """Check at once, and in parallel, what is made from the log: the audit index, and the current preferences with the keys.

    The streams take the longest, so two connections share them. Otherwise one core would be idle at the end.

    `progress` is called with the events of all legs together. After an interruption, each leg ends with its present step.
    """
    halves = StreamLeg.halves()
    beside: Sequence[Leg] = [IndexLeg(), DailyCountsLeg(), *halves]
    done: dict[Leg, tuple[int, int]] = {}
    stopped = threading.Event()

    def checked(leg: Leg) -> list[Finding]:
        def told(events: int, about: int) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            done[leg] = events, max(events, about // 2) if leg in halves else about
            progress(sum(events for events, _ in done.values()), sum(about for _, about in done.values()))

        return check(url, leg, told)

    with ThreadPoolExecutor(len(beside)) as threads:
        try:
            return [finding for findings in threads.map(checked, beside) for finding in findings]
        finally:
            stopped.set()


async def sweep_regularly(settings: Settings, url: str, stop: asyncio.Event) -> None:
    """Sweep step by step until `stop` is set. It works in a thread, to keep the event loop free."""
    if settings.sweep_within == 0:
        return
    sweeper = Sweeper(url, legs(settings), settings.sweep_within)
    while not stop.is_set():
        try:
            pause = await asyncio.to_thread(sweeper.step)
        except (psycopg.Error, OSError) as error:
            log.warning("the sweep waits", reason=str(error))
            pause = PAUSE
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stop.wait()
    sweeper.close()


async def sweep_now(settings: Settings, url: str) -> None:
    """Sweep a whole pass at once, with its legs in parallel."""
    await asyncio.gather(*(asyncio.to_thread(sweep_at_once, url, leg) for leg in legs(settings)))


async def swept(url: str) -> SweepStatus:
    async with operator_database(url) as database:
        return await sweep_status(database)
