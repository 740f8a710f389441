"""The relay: a follower of the log whose effect is a stream at a broker.

The stream itself says which event is its last, so nothing has to be committed in two places. The position in the followers' table matters
in one case only: when the last message was purged.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from application.followers import CannotReset
from application.log import Recorded
from domain.continued_log import loss_of
from domain.isolation import PLATFORM
from infrastructure.log.continuation import continuations
from infrastructure.log.event_log import read_after
from infrastructure.nats.broker_connection import BrokerUnavailable
from infrastructure.nats.jetstream import LARGEST_BATCH, BrokerStream, StreamEnd, StreamUnusable
from infrastructure.postgres.connection import AnyConnection
from projections.nats_messages import message

NAME: Final = "relay"

log = structlog.get_logger("relay")


class Relay:
    """Hands every event on, once and in the order of the log."""

    name = NAME

    def __init__(self, stream: BrokerStream) -> None:
        self._stream = stream
        self._end: StreamEnd | None = None
        self._compared_with: AnyConnection | None = None

    async def stands_at(self, position: int) -> int:
        """The position that the stream has really reached. It is never later than `position`, which the followers' table has.

        The stream is behind if it was made again, or if a broker lost messages that it had acknowledged. The relay then hands on all of
        those events again.
        """
        if self._end is None or not self._stream.is_open:
            self._end, self._compared_with = None, None
            await self._stream.open()
            end = await self._stream.end()
            if end.position is not None and end.position < position:
                log.warning("stream is behind", stream_position=end.position, noted_position=position)
            self._end = end
        return position if self._end.position is None else min(position, self._end.position)

    async def handle(self, events: Sequence[Recorded], transaction: AnyConnection) -> None:
        end, self._end = self._end, None
        if end is None:
            raise BrokerUnavailable("the connection to NATS was lost")
        # A new connection may lead to another log.
        if self._compared_with is not transaction:
            await _refuse_another_log(self._stream, end, transaction)
            self._compared_with = transaction
        # If the stream's end is unknown, the position in the followers' table counts. It is just before these events.
        after = events[0].position - 1 if end.position is None else end.position
        new = [recorded for recorded in events if recorded.position > after]
        for first in range(0, len(new), LARGEST_BATCH):
            batch = new[first : first + LARGEST_BATCH]
            sequence = await self._stream.append(
                [message(position, PLATFORM.clear(event, position)) for position, event in batch], end.sequence
            )
            end = StreamEnd(sequence, batch[-1].position, batch[-1].event.event_id)
        # Set only now: after a failure the end is unknown, and the relay asks for it before it writes again.
        self._end = end

    async def reset(self, position: int, transaction: AnyConnection) -> None:
        raise CannotReset("what was handed on can't be taken back: delete the stream, and it is handed on anew")

    async def close(self) -> None:
        await self._stream.close()


async def _refuse_another_log(stream: BrokerStream, end: StreamEnd, transaction: AnyConnection) -> None:
    """Raise `StreamUnusable` unless this log has the stream's last event at its position. In another log, or one that was restored from a
    backup, positions mean other events, and the relay would silently leave those out.

    If a continuation of the log says that this position was lost, the relay leaves out no event, because the log goes on beyond all
    positions of the stream. Then the log must have the stream's last event from before the loss.
    """
    if not end.position or await _stands(end, transaction):
        return
    lost = loss_of(end.position, await continuations(transaction))
    if lost is not None:
        before = await stream.last_up_to(lost.previous_end)
        if not before.position or await _stands(before, transaction):
            log.warning(
                "the stream has events that the log has lost",
                previous_end=lost.previous_end,
                stream_position=end.position,
                continued_at=lost.position,
            )
            return
    raise StreamUnusable(
        f"the stream's last event, {end.event_id} at position {end.position}, doesn't stand there in this log: "
        "the stream was written from another one, or this one was restored from a backup"
    )


async def _stands(end: StreamEnd, transaction: AnyConnection) -> bool:
    """Whether this log has the message's event at its position."""
    assert end.position is not None
    return [event.event_id for _, event in await read_after(transaction, end.position - 1, 1)] == [end.event_id]
