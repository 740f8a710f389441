"""Runs a follower: one process leads it, the others wait to take over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import psycopg
import structlog

from application.followers import ConfirmedPosition, Follower, StretchFollower
from application.following import Following, Step
from domain.errors import Unavailable
from infrastructure.followers.journal import PostgresJournal, TraceBatch
from infrastructure.followers.notifications import Notifications
from infrastructure.log.continuation import continue_where_moved
from infrastructure.log.replicated_end import ReplicatedEnd
from infrastructure.postgres.connection import AnyConnection, NoAnswer, translated
from infrastructure.postgres.session import Session, connect

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds before the runner tries the database, or another thing that the follower needs, again."""

FIRST_PATIENCE: Final = 4.0
LONGEST_PATIENCE: Final = 64.0
"""Seconds in which the server must answer a statement. After that the runner gives it up: it may be frozen while another one serves in
its place. The next limit is twice as long, so that the follower makes progress even with a slow server.
"""

BUSY: Final = 4
"""Events that gather during a rest in which the log is busy. A quiet log has the events of one request, if any."""

log = structlog.get_logger("followers")


class Rests:
    """How long a follower that has caught up rests, in seconds: `shortest`, and on a busy log twice as long each time, up to `longest`."""

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = self._rest = shortest
        self._longest = longest
        self._handled = 0
        self.busy = False

    def after(self, handled: int) -> float:
        """The next rest. `handled`: how many events the follower has handled in all."""
        self.busy = handled - self._handled >= BUSY
        self._handled = handled
        self._rest = min(self._rest * 2, self._longest) if self.busy else self._shortest
        return self._rest


class FollowerRunner:
    """Leads a follower along the log, on a connection of its own, for as long as the process runs.

    `poll`: the longest sleep, in seconds. A notification wakes the follower earlier, but a notification may be lost. `rest`: how long, in
    seconds, it lets events gather after it has caught up, so that a busy log is handled in batches and not event by event. While the log
    stays busy, each rest is twice as long as the one before, up to `longest_rest`, because a batch of a few events costs nearly as much as
    one of some hundreds; and the follower looks after each rest without waiting for a notification. `batch`: how many events it handles
    in one transaction, at most, if not as many as usual. `patience`: how long, in seconds, its handling may send nothing to the
    database before the server considers it dead. With `replicated`, the follower gets only events that synchronous standbys have. `trace` is
    given only if spans are recorded.
    """

    def __init__(
        self,
        url: str,
        follower: Follower[AnyConnection] | StretchFollower[AnyConnection],
        *,
        stands_at: ConfirmedPosition | None = None,
        batch: int | None = None,
        poll: float = 1.0,
        rest: float = 0.02,
        longest_rest: float = 0.02,
        patience: int = 60,
        replicated: ReplicatedEnd | None = None,
        trace: TraceBatch | None = None,
    ) -> None:
        self._url = url
        self._follower = follower
        self._stands_at = stands_at
        self._batch = batch
        self._poll = poll
        self._rest = rest
        self._longest_rest = longest_rest
        self._patience = patience
        self._replicated = replicated
        self._trace = trace
        self._pause = FIRST_PAUSE
        self._answer_within = FIRST_PATIENCE

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set, and finishes the running transaction. While the database or the broker is unavailable, it waits."""
        name = self._follower.name
        while not stop.is_set():
            try:
                async with self._connected() as connection:
                    await self._run(connection, stop)
            except Unavailable as error:
                if isinstance(error, NoAnswer):
                    self._answer_within = min(self._answer_within * 2, LONGEST_PATIENCE)
                log.warning("follower waits", follower=name, reason=str(error), seconds=self._pause)
                await _sleep(stop, self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _run(self, connection: AnyConnection, stop: asyncio.Event) -> None:
        journal = PostgresJournal(connection, self._follower.name, replicated=self._replicated, trace=self._trace)
        await journal.register()
        with journal.translated():
            await continue_where_moved(connection)
        while not await journal.lead():
            if await _sleep(stop, self._poll):
                return
        log.info("follower leads", follower=self._follower.name)
        notifications = Notifications(connection)
        following = Following(self._follower, journal, largest=self._batch, stands_at=self._stands_at)
        rests = Rests(self._rest, self._longest_rest)
        while not stop.is_set():
            step = await following.step()
            # The step succeeded, so all that the follower needs is available, even if there was nothing to do.
            self._pause = FIRST_PAUSE
            match step:
                case Step.HELD:
                    await _sleep(stop, self._poll)
                case Step.CAUGHT_UP:
                    rest = rests.after(following.handled)
                    if rests.busy:
                        await notifications.ignore()
                        await _sleep(stop, rest)
                    elif await notifications.heed():
                        await _sleep(stop, rest)
                        await notifications.wait(stop, self._poll)
                case Step.ON:
                    self._answer_within = FIRST_PATIENCE

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AnyConnection]:
        try:
            connection = await connect(
                self._url,
                Session(
                    application=f"preferences follower {self._follower.name}",
                    settings={
                        # The server ends a session that is silent for this long. A leader that is frozen, or cut off by the network, must
                        # not keep another one from leading. A working leader sends something at least once a second.
                        "idle_session_timeout": "5s",
                        "idle_in_transaction_session_timeout": f"{self._patience}s",
                    },
                    # If position and effect are in the same database, a lost commit loses both, so it need not wait for the disk. If the
                    # effect is elsewhere, the commit must wait.
                    durable=self._stands_at is not None,
                    answer_within=self._answer_within,
                ),
            )
            async with connection:
                yield connection
        except psycopg.Error as error:
            raise translated(error) from error


async def _sleep(stop: asyncio.Event, seconds: float) -> bool:
    """Returns whether `stop` was set meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
