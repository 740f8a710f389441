"""The relay: a follower of the log whose effect is a stream at a broker.

The stream itself says which event is its last, so nothing has to be committed in two places. What the followers' table
keeps beside it counts for one case only: that the last message was purged.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from application.followers import CannotReset
from application.ports import Recorded
from infrastructure.event_stream import LARGEST_BATCH, BrokerUnavailable, EventStream, StreamEnd
from infrastructure.follower_journal import Connection
from projections.nats_messages import message

NAME: Final = "relay"

# A leader that is frozen while it waits for the broker holds a transaction open; others take over when it ends.
_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '8s'"

log = structlog.get_logger("relay")


class Relay:
    """Hands every event on, once and in log order."""

    name = NAME

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._end: StreamEnd | None = None

    async def stands_at(self, position: int) -> int:
        """The position that the stream really has reached, given the one that was noted; never a later one.

        It is behind where the stream was made anew, or where a broker lost what it had acknowledged: all of that is
        handed on again.
        """
        if self._end is None or not self._stream.is_open:
            self._end = None
            await self._stream.open()
            end = await self._stream.end()
            if end.position is None:
                end = replace(end, position=position)
            elif end.position < position:
                log.warning("stream is behind", stream_position=end.position, noted_position=position)
            self._end = end
        assert self._end.position is not None
        return min(position, self._end.position)

    async def handle(self, events: Sequence[Recorded], transaction: Connection) -> None:
        await transaction.execute(_PATIENCE)
        end, self._end = self._end, None
        if end is None or end.position is None:
            raise BrokerUnavailable("the connection to NATS was lost")
        messages = [message(*recorded) for recorded in events if recorded.position > end.position]
        sequence = end.sequence
        for first in range(0, len(messages), LARGEST_BATCH):
            sequence = await self._stream.append(messages[first : first + LARGEST_BATCH], sequence)
        # Only now: after a failure it is unknown, and asked for before anything else is written.
        self._end = StreamEnd(sequence, max(end.position, events[-1].position))

    async def reset(self, position: int, transaction: Connection) -> None:
        raise CannotReset("what was handed on can't be taken back: delete the stream, and it is handed on anew")

    async def close(self) -> None:
        await self._stream.close()
