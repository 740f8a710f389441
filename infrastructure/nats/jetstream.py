"""The JetStream stream that events are handed on through. The relay is its only writer, and always knows where it ends.

Each write names the sequence that it expects to be the last. So the stream itself refuses a repetition, a second relay and a late
message, however long ago the first attempt was. After a write with an unknown outcome, the last message of the stream shows how far it
got.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from infrastructure.nats.broker_connection import ANSWER_WITHIN, BrokerConnection, BrokerUnavailable
from infrastructure.nats.stream_configuration import Configuration
from projections.nats_messages import Message

SUBJECTS: Final = "notification-preferences.>"

LARGEST_BATCH: Final = 1000
"""The most messages that the server takes in one atomic batch."""

_OLDEST: Final = (2, 12)
_NOT_NEW: Final = {10071, 10201}
"""The error codes for: another sequence was the last one, or one of the ids is known."""

_LIMIT_REQUIRED: Final = 10113
"""The error code of an account with `max_bytes_required`."""

log = structlog.get_logger("relay")


class StreamUnusable(Unavailable):
    """The stream exists, but the relay can't write to it. The message is one sentence that an operator can act on."""


class NotTheEnd(Unavailable):
    """Another writer has written, or an earlier attempt succeeded after all. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """`sequence` counts the stream's messages. `position` and `event_id` are those of the last event: 0 and empty before the first one,
    None if its message was purged, because then they are unknown.
    """

    sequence: int
    position: int | None
    event_id: str | None


class BrokerStream:
    """Allows only one write at a time."""

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
        """Takes the servers of one cluster and the name of the stream. It does nothing before `open`.

        `replicas` and `max_bytes` apply only to a stream that has to be made. `prefix` stands before each subject, because a subject
        belongs to one stream only. With a `purpose`, a stream that was made for another purpose can't be used.
        """
        self._broker = BrokerConnection(servers, credentials)
        self._name = name
        self._prefix = prefix
        self._wanted = Configuration(name, [prefix + SUBJECTS], replicas, max_bytes, purpose)

    @property
    def is_open(self) -> bool:
        return self._broker.is_open

    async def open(self) -> None:
        """Connect, and make the stream if it does not exist. Raises `BrokerUnavailable` and `StreamUnusable`."""
        await self._broker.open()
        try:
            self._refuse_old_servers()
            await self._broker.answer(self._have_stream())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """The outcome of every unanswered request is unknown."""
        await self._broker.close()

    async def end(self) -> StreamEnd:
        """Where the stream ends. Raises `BrokerUnavailable` and `StreamUnusable`."""
        stream = self._broker.client.jetstream(timeout=ANSWER_WITHIN)
        state = (await self._broker.answer(stream.stream_info(self._name))).state
        if state.last_seq == 0:
            return StreamEnd(0, 0, "")
        return await self._at(state.last_seq)

    async def last_up_to(self, position: int) -> StreamEnd:
        """The last message whose event is at or before a position of the log. Its position is 0 if the stream no longer has such a
        message. Raises `BrokerUnavailable` and `StreamUnusable`.
        """
        stream = self._broker.client.jetstream(timeout=ANSWER_WITHIN)
        state = (await self._broker.answer(stream.stream_info(self._name))).state
        found, low, high = StreamEnd(0, 0, ""), state.first_seq, state.last_seq
        # Positions rise through the stream. If single messages were deleted, the search goes on before the gap.
        while low <= high:
            middle = await self._at((low + high) // 2)
            if middle.position is not None and middle.position <= position:
                found, low = middle, middle.sequence + 1
            else:
                high = middle.sequence - 1
        return found

    async def _at(self, sequence: int) -> StreamEnd:
        stream = self._broker.client.jetstream(timeout=ANSWER_WITHIN)
        try:
            message = await self._broker.answer(stream.get_msg(self._name, sequence))
        except nats.js.errors.NotFoundError:
            return StreamEnd(sequence, None, None)
        headers = message.headers or {}
        try:
            return StreamEnd(sequence, int(headers["ce-sequence"]), headers["ce-id"])
        except (KeyError, ValueError):
            raise StreamUnusable(
                f"a message of the stream {self._name} is not one of this service's: another program writes to it"
            ) from None

    async def append(self, messages: Sequence[Message], after: int) -> int:
        """Store these messages, at most `LARGEST_BATCH`, right after sequence `after`. Returns the sequence of the last one.

        The server stores all of them or none, unless it dies meanwhile. Raises `NotTheEnd`. Raises `BrokerUnavailable` if it is unknown
        what was stored: then only `end` can say.
        """
        answer = await self._broker.answer(self._sent(self._broker.client, messages, after))
        return self._stored(json.loads(answer.data), after, len(messages))

    async def _sent(self, connection: Client, messages: Sequence[Message], after: int) -> Msg:
        """Send all messages, and return the answer to the last one."""
        async with asyncio.timeout(ANSWER_WITHIN):
            batch = connection.new_inbox().rpartition(".")[2]
            for number, message in enumerate(messages, 1):
                headers = {**message.headers, Header.MSG_ID: message.headers["ce-id"]}
                if number == 1:
                    headers[Header.EXPECTED_LAST_SEQUENCE] = str(after)
                # The server first writes a batch to a file of its own. A single message need not wait for that.
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

    def _refuse_old_servers(self) -> None:
        version = self._broker.client.connected_server_version
        if (version.major, version.minor) < _OLDEST:
            raise StreamUnusable(f"NATS {version} can't store a batch at once: 2.12 or newer is needed")

    async def _have_stream(self) -> None:
        stream = self._broker.client.jetstream(timeout=ANSWER_WITHIN)
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
        """The settings apply only to a new stream."""
        wanted = self._wanted
        if config.num_replicas != wanted.replicas:
            log.warning("stream has other replicas", stream=self._name, has=config.num_replicas, set=wanted.replicas)
        if wanted.max_bytes and config.max_bytes != wanted.max_bytes:
            log.warning("stream has another limit", stream=self._name, has=config.max_bytes, set=wanted.max_bytes)

    async def _created(self, stream: JetStreamContext) -> StreamInfo:
        """If the server refuses the request, it refuses every attempt. So this fails at once and is not retried."""
        try:
            return await stream.add_stream(self._wanted.new())
        except nats.js.errors.BadRequestError as error:
            if error.err_code == _LIMIT_REQUIRED:
                raise StreamUnusable(
                    f"the account at NATS requires a limit of each stream, and {self._name} has to be made: set NATS_MAX_BYTES"
                ) from error
            raise StreamUnusable(f"NATS refuses to make the stream {self._name}: {error.description}") from error
