"""The JetStream stream that events are handed on through. The relay is its only writer, and never in doubt of its end.

Each write names the sequence that it expects to be the last, so a repetition, a second relay and whatever arrives too late
are refused by the stream itself, however long ago the first attempt was. After a write with an unknown outcome the
last message says how far it got.
"""

import asyncio
import json
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import nats.errors
import nats.js.api
import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header, StreamConfig, StreamInfo
from nats.js.client import JetStreamContext

from domain.errors import Unavailable
from infrastructure.nats.stream_configuration import Configuration
from projections.nats_messages import Message

SUBJECTS: Final = "notification-preferences.>"

LARGEST_BATCH: Final = 1000
"""Messages that the server takes in one atomic batch."""

ANSWER_WITHIN: Final = 3.0
"""Seconds until a broker that doesn't answer is given up, and its answer with it."""

_OLDEST: Final = (2, 12)
_NOT_NEW: Final = {10071, 10201}
"""Another sequence was the last one, or one of the ids is known."""

_LIMIT_REQUIRED: Final = 10113
"""The account says `max_bytes_required`."""

Answer = TypeVar("Answer")

log = structlog.get_logger("relay")


class BrokerUnavailable(Unavailable):
    """The broker can't be reached, or didn't answer. What was under way has an unknown outcome."""


class StreamUnusable(Unavailable):
    """There is a stream, but not one that the relay could write. One sentence an operator can act on."""


class NotTheEnd(Unavailable):
    """Somebody else has written, or an earlier attempt got through after all. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """`sequence` counts the stream's messages. `position` is the last event's in the log, and `event_id` its id: 0 and
    empty before the first one, None where its message was purged, so that nobody here can say any more."""

    sequence: int
    position: int | None
    event_id: str | None


class EventStream:
    """Not more than one write at a time."""

    def __init__(
        self,
        servers: Sequence[str],
        name: str,
        *,
        replicas: int = 1,
        max_bytes: int | None = None,
        credentials: str | None = None,
        prefix: str = "",
        purpose: str | None = None,
    ) -> None:
        """Name servers of one cluster and the stream; nothing happens before `open`.

        `replicas` and `max_bytes` are those of a stream that has to be made. `prefix` stands before each subject, since a
        subject belongs to one stream only. With a `purpose`, a stream that was made for another one can't be used.
        """
        self._servers = list(servers)
        self._name = name
        self._credentials = credentials
        self._prefix = prefix
        self._wanted = Configuration(name, [prefix + SUBJECTS], replicas, max_bytes, purpose)
        self._connection: Client | None = None
        self._lost = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self._connection.is_connected

    async def open(self) -> None:
        """Connect, and have the stream. Raises `BrokerUnavailable` and `StreamUnusable`."""
        await self.close()
        connection = await self._connected()
        try:
            self._refuse_old_servers(connection)
            await self._answered(self._have_stream(connection))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Whatever was not answered has an unknown outcome."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _closed(connection)

    async def end(self) -> StreamEnd:
        """Where the stream ends. Raises `BrokerUnavailable` and `StreamUnusable`."""
        stream = self._opened().jetstream(timeout=ANSWER_WITHIN)
        state = (await self._answered(stream.stream_info(self._name))).state
        if state.last_seq == 0:
            return StreamEnd(0, 0, "")
        return await self._at(state.last_seq)

    async def last_up_to(self, position: int) -> StreamEnd:
        """The last message whose event stands at a position of the log or before it; position 0 where the stream has none any
        more. Raises `BrokerUnavailable` and `StreamUnusable`."""
        stream = self._opened().jetstream(timeout=ANSWER_WITHIN)
        state = (await self._answered(stream.stream_info(self._name))).state
        found, low, high = StreamEnd(0, 0, ""), state.first_seq, state.last_seq
        # Positions rise through the stream. Messages that were deleted one by one end the search where they are.
        while low <= high:
            middle = await self._at((low + high) // 2)
            if middle.position is not None and middle.position <= position:
                found, low = middle, middle.sequence + 1
            else:
                high = middle.sequence - 1
        return found

    async def _at(self, sequence: int) -> StreamEnd:
        stream = self._opened().jetstream(timeout=ANSWER_WITHIN)
        try:
            message = await self._answered(stream.get_msg(self._name, sequence))
        except nats.js.errors.NotFoundError:
            return StreamEnd(sequence, None, None)
        headers = message.headers or {}
        try:
            return StreamEnd(sequence, int(headers["ce-sequence"]), headers["ce-id"])
        except (KeyError, ValueError):
            raise StreamUnusable(
                f"a message of the stream {self._name} is not one of this service's: somebody else writes to it"
            ) from None

    async def append(self, messages: Sequence[Message], after: int) -> int:
        """Store these messages, at most `LARGEST_BATCH`, as the next ones after a sequence; the sequence of the last.

        All of them or none, as far as the server lives through it. Raises `NotTheEnd`, and `BrokerUnavailable` where
        it is unknown what was stored: then only `end` can say.
        """
        answer = await self._answered(self._sent(self._opened(), messages, after))
        return self._stored(json.loads(answer.data), after, len(messages))

    async def _sent(self, connection: Client, messages: Sequence[Message], after: int) -> Msg:
        """The answer to the last of them."""
        async with asyncio.timeout(ANSWER_WITHIN):
            batch = connection.new_inbox().rpartition(".")[2]
            for number, message in enumerate(messages, 1):
                headers = {**message.headers, Header.MSG_ID: message.headers["ce-id"]}
                if number == 1:
                    headers[Header.EXPECTED_LAST_SEQUENCE] = str(after)
                # A batch is laid down in a file of its own first, which a lone message needn't wait for.
                if len(messages) > 1:
                    headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
                payload = orjson.dumps(message.data)
                if number < len(messages):
                    await connection.publish(self._prefix + message.subject, payload, headers=headers)
            if len(messages) > 1:
                headers["Nats-Batch-Commit"] = "1"
            return await connection.request(
                self._prefix + message.subject, payload, timeout=ANSWER_WITHIN, headers=headers
            )

    def _stored(self, answer: dict[str, Any], after: int, count: int) -> int:
        if error := answer.get("error"):
            if error.get("err_code") in _NOT_NEW:
                raise NotTheEnd(f"the stream doesn't end at sequence {after}: {error['description']}")
            raise BrokerUnavailable(f"the stream {self._name} refused: {error['description']}")
        if answer["seq"] != after + count:
            raise NotTheEnd(f"stored up to sequence {answer['seq']} instead of {after + count}")
        return int(answer["seq"])

    async def _connected(self) -> Client:
        connection, lost = Client(), asyncio.Event()
        said: list[Exception] = []

        async def on_error(error: Exception) -> None:
            said.append(error)

        async def on_close() -> None:
            lost.set()

        try:
            # Each server is tried twice at most, and after a break nobody reconnects behind our back: first it has to be
            # asked anew where the stream ends.
            await connection.connect(
                self._servers,
                name="notification-preferences relay",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=2,
                ping_interval=5,
                user_credentials=self._credentials,
                error_cb=on_error,
                closed_cb=on_close,
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await _closed(connection)
            reason = said[-1] if said else error
            raise BrokerUnavailable(f"NATS can't be reached: {str(reason) or type(reason).__name__}") from error
        self._connection, self._lost = connection, lost
        return connection

    def _opened(self) -> Client:
        if self._connection is None:
            raise BrokerUnavailable("the connection to NATS was lost")
        return self._connection

    async def _answered(self, question: Awaitable[Answer]) -> Answer:
        """The answer, or at once that there will be none: nats-py itself would wait for the whole of its time-out."""
        asked = asyncio.ensure_future(question)
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            with _translated():
                await asyncio.wait([asked, lost], return_when=asyncio.FIRST_COMPLETED)
                if not asked.done():
                    raise nats.errors.ConnectionClosedError
                return asked.result()
        finally:
            asked.cancel()
            lost.cancel()
            # A question that fails as it is given up has told its error to nobody, which asyncio would log with a traceback.
            await asyncio.gather(asked, lost, return_exceptions=True)

    def _refuse_old_servers(self, connection: Client) -> None:
        version = connection.connected_server_version
        if (version.major, version.minor) < _OLDEST:
            raise StreamUnusable(f"NATS {version} can't store a batch at once: 2.12 or newer is needed")

    async def _have_stream(self, connection: Client) -> None:
        stream = connection.jetstream(timeout=ANSWER_WITHIN)
        try:
            info = await stream.stream_info(self._name)
        except nats.js.errors.NotFoundError:
            info = await self._created(stream)
            log.info("stream created", stream=self._name, replicas=self._wanted.replicas)
        config = info.config
        if not config.allow_atomic:
            config.allow_atomic = True
            config = (await stream.update_stream(config)).config
        if wrong := self._wanted.faults(config):
            raise StreamUnusable(f"the stream {self._name} {wrong}")
        self._tell_what_differs(config)

    def _tell_what_differs(self, config: StreamConfig) -> None:
        """What is set counts for a new stream only."""
        wanted = self._wanted
        if config.num_replicas != wanted.replicas:
            log.warning("stream has other replicas", stream=self._name, has=config.num_replicas, set=wanted.replicas)
        if wanted.max_bytes and config.max_bytes != wanted.max_bytes:
            log.warning("stream has another limit", stream=self._name, has=config.max_bytes, set=wanted.max_bytes)

    async def _created(self, stream: JetStreamContext) -> StreamInfo:
        """What the server refuses as a request, it refuses at each attempt: that isn't waited for."""
        try:
            return await stream.add_stream(self._wanted.new())
        except nats.js.errors.BadRequestError as error:
            if error.err_code == _LIMIT_REQUIRED:
                raise StreamUnusable(
                    f"the account at NATS requires a limit of each stream, and {self._name} has to be made: set NATS_MAX_BYTES"
                ) from error
            raise StreamUnusable(f"NATS refuses to make the stream {self._name}: {error.description}") from error


@contextmanager
def _translated() -> Iterator[None]:
    """nats-py's errors become ours, but for what was asked for and isn't there, and for a message that is too large,
    which no other attempt makes smaller."""
    try:
        yield
    except (nats.js.errors.NotFoundError, nats.errors.MaxPayloadError):
        raise
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"NATS didn't answer: {str(error) or type(error).__name__}") from error


async def _closed(connection: Client) -> None:
    try:
        async with asyncio.timeout(2):
            await connection.close()
    except (nats.errors.Error, OSError, TimeoutError) as error:
        log.debug("nats", error=str(error) or type(error).__name__)
