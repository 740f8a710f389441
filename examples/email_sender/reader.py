"""From the stream into the replica, for as long as the process lives.

The replica alone says where to go on. A durable consumer would keep a place at the broker as well, and the two could
disagree: acknowledged there and lost here is never told again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from examples.email_sender.handed_on import understand
from examples.email_sender.replica import BeginAnew, Replica, Unusable

LARGEST = 500
"""Events that are applied in one transaction."""

IDLE = 0.25
"""Seconds to wait for an event; then there is time to ask for the stream's end."""

ASK_EVERY = 1.0
"""Seconds between two questions for the stream's end."""

ANSWER_WITHIN = 2.0

Lag = Callable[[], Awaitable[float]]
"""How many seconds the stream itself is behind the service. Raises OSError where nobody can tell."""

Note = Callable[[str], None]


class Mark(NamedTuple):
    """What had happened at a moment (seconds since 1970) is in the stream up to this sequence."""

    at: float
    sequence: int


class Reader:
    """`note` is told why there is nothing to read, once for each reason."""

    def __init__(
        self, replica: Replica, servers: list[str], stream: str, credentials: str | None, lag: Lag, note: Note
    ) -> None:
        self._replica = replica
        self._servers = servers
        self._stream = stream
        self._credentials = credentials
        self._lag = lag
        self._note = note
        self._noted = ""

    async def run(self) -> None:
        """Read until cancelled. Whatever is away is waited for. Raises `Unusable`."""
        while True:
            try:
                await self._read()
            except BeginAnew:
                self._say("the log has lost events in a failover: the replica begins anew, without them")
            except nats.js.errors.NotFoundError:
                self._say(f"there is no stream {self._stream}, or it was made anew")
            except (nats.errors.Error, OSError, TimeoutError) as error:
                self._say(f"the broker is away: {str(error) or type(error).__name__}")
            await asyncio.sleep(IDLE)

    async def _read(self) -> None:
        async with self._connected() as connection:
            stream = connection.jetstream(timeout=ANSWER_WITHIN)
            messages = await self._subscribed(stream, await self._start(stream))
            mark, asked_at, delivered = None, 0.0, 0
            while True:
                if mark is None and time.monotonic() - asked_at >= ASK_EVERY:
                    asked_at = time.monotonic()
                    mark = await self._mark(stream)
                fetched = []
                try:
                    async with asyncio.timeout(ANSWER_WITHIN):  # nats-py waits for longer when the connection is lost
                        fetched = await messages.fetch(LARGEST, timeout=IDLE)
                except TimeoutError:
                    await messages.consumer_info()  # raises where the connection, or what we read with, is gone
                for message in fetched:
                    delivered += 1
                    if message.metadata.sequence.consumer != delivered:
                        raise nats.errors.Error("a message was lost on the way")
                if fetched:
                    self._replica.apply(
                        understand(message.metadata.sequence.stream, message.headers or {}, message.data)
                        for message in fetched
                    )
                if mark is not None and self._replica.place().sequence >= mark.sequence:
                    self._replica.was_current(mark.at)
                    mark, self._noted = None, ""

    async def _mark(self, stream: JetStreamContext) -> Mark | None:
        """In this order: what had reached the stream when the lag was asked for is in it when its end is."""
        now = time.time()
        try:
            lag = await self._lag()
        except OSError as error:
            self._say(f"nobody can tell how far the relay is behind: {error}")
            return None
        return Mark(now - lag, (await stream.stream_info(self._stream)).state.last_seq)

    async def _start(self, stream: JetStreamContext) -> int:
        """The sequence to begin at: behind what is in the replica, if the stream is still the one that we read.

        A stream that was made anew has the same events in the same order, so we begin at its beginning and leave out what we have.
        """
        position, sequence = self._replica.place()
        state = (await stream.stream_info(self._stream)).state
        begin = 1
        if sequence < state.first_seq:
            begin = sequence + 1
        elif 0 < sequence <= state.last_seq:
            last = await stream.get_msg(self._stream, sequence)
            if int((last.headers or {})["ce-sequence"]) == position:
                begin = sequence + 1
        if state.first_seq > begin:
            raise Unusable(
                f"the stream {self._stream} begins at sequence {state.first_seq}, and {begin} is the next to be read: "
                "a replica has to be begun from GET /v1/events"
            )
        return begin

    async def _subscribed(self, stream: JetStreamContext, begin: int) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=begin,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=60,
        )
        return await stream.pull_subscribe(">", stream=self._stream, config=config)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        async def quiet(_error: Exception) -> None: ...

        connection = Client()
        try:
            # After a break we begin again, from the replica: nothing is to reconnect behind our back.
            await connection.connect(
                self._servers,
                name="e-mail sender",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                connect_timeout=int(ANSWER_WITHIN),
                ping_interval=5,
                user_credentials=self._credentials,
                error_cb=quiet,
            )
            yield connection
        finally:
            with suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(ANSWER_WITHIN):
                    await connection.close()

    def _say(self, what: str) -> None:
        if what != self._noted:
            self._noted = what
            self._note(what)
