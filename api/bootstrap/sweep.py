"""The sweep, which holds everything against the log: running it, and what it has to say for itself."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import psycopg
import structlog

from api.bootstrap.databases import OPERATOR_PATIENCE
from api.bootstrap.evidence import Progress, note_reader
from application.evidence.sweep import Finding, SweepStatus
from infrastructure.evidence.checkpoint_file import CheckpointFile
from infrastructure.evidence.sweep.index_leg import IndexLeg
from infrastructure.evidence.sweep.journal import sweep_status
from infrastructure.evidence.sweep.leg import Leg, check
from infrastructure.evidence.sweep.log_leg import LogLeg
from infrastructure.evidence.sweep.stream_leg import StreamLeg
from infrastructure.evidence.sweep.sweeper import Sweeper, sweep_at_once
from infrastructure.postgres.database import Database
from infrastructure.settings import Settings

PAUSE: Final = 5.0
"""Seconds until the sweep is tried again where the database can't be reached."""

log = structlog.get_logger("sweep")


def legs(of: Settings) -> Sequence[Leg]:
    return [LogLeg(CheckpointFile(of.published_checkpoints), note_reader(of), of.audit_origin), IndexLeg(), StreamLeg()]


def check_beside(url: str, progress: Progress) -> list[Finding]:
    """Hold what is made of the log against it, at once: the index of the audit log, current preferences and keys, side by side.

    `progress` is called with both legs' events together. Interrupted, each ends with its step.
    """
    done: dict[str, tuple[int, int]] = {}
    stopped = threading.Event()

    def checked(leg: Leg) -> list[Finding]:
        def told(events: int, about: int) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            done[leg.name] = events, about
            progress(sum(events for events, _ in done.values()), sum(about for _, about in done.values()))

        return check(url, leg, told)

    beside: Sequence[Leg] = [IndexLeg(), StreamLeg()]
    with ThreadPoolExecutor(len(beside)) as threads:
        try:
            return [finding for findings in threads.map(checked, beside) for finding in findings]
        finally:
            stopped.set()


async def sweep_regularly(of: Settings, url: str, stop: asyncio.Event) -> None:
    """Step by step, until `stop` is set. In a thread: the event loop is for others."""
    if of.sweep_within == 0:
        return
    sweeper = Sweeper(url, legs(of), of.sweep_within)
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


async def sweep_now(of: Settings, url: str) -> None:
    """A whole pass at once, its legs side by side."""
    await asyncio.gather(*(asyncio.to_thread(sweep_at_once, url, leg) for leg in legs(of)))


async def swept(url: str) -> SweepStatus:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        return await sweep_status(database)
