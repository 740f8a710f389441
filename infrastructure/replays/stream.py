"""A JetStream stream of its own, with subjects of its own. The stream's last event says where to go on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Self

import orjson
from typing_extensions import override

from application.feed.replay import Destination, ReplayRefused
from application.log import Cleared
from infrastructure.nats.jetstream import BrokerStream
from infrastructure.replays.request import Request
from projections.nats_messages import message


class StreamReplay(Destination):
    """Each write names the message that it expects to be the last. So no message is stored twice, whatever the outcome of the write
    before.
    """

    def __init__(self, stream: BrokerStream, sequence: int, position: int) -> None:
        self._stream = stream
        self._sequence = sequence
        self._position = position

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        servers: Sequence[str],
        name: str,
        request: Request,
        *,
        replicas: int,
        max_bytes: int | None,
        credentials: str | None,
    ) -> AsyncIterator[Self]:
        """Raises `StreamUnusable` if this request did not make the stream, and `BrokerUnavailable`."""
        purpose = f"A replay of notification preferences: {orjson.dumps(asdict(request)).decode()}"
        stream = BrokerStream(
            servers,
            name,
            replicas=replicas,
            max_bytes=max_bytes,
            credentials=credentials,
            prefix=f"{name}.",
            purpose=purpose,
        )
        try:
            await stream.open()
            end = await stream.end()
            if end.position is None:
                raise ReplayRefused(
                    f"the last message of the stream {name} was purged, so the place to go on from is unknown"
                )
            yield cls(stream, end.sequence, max(request.after, end.position))
        finally:
            await stream.close()

    @property
    @override
    def position(self) -> int:
        return self._position

    @override
    async def write(self, events: Sequence[Cleared], position: int) -> None:
        if events:
            messages = [message(*recorded) for recorded in events]
            self._sequence = await self._stream.append(messages, self._sequence)
        self._position = position

    @override
    async def finish(self) -> None:
        """Does nothing: every acknowledged message is stored already."""
