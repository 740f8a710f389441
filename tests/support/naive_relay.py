"""The negative control: a relay as one would naively write it, `python -m tests.support.naive_relay DATABASE_URL BROKER_URL`.

It publishes what comes after the position that was noted, each event recognizable by its id alone, and notes the new
position once all are stored. Who takes over from one that was killed in between publishes them again, and the stream
has forgotten the ids by then.
"""

import asyncio
import sys
from collections.abc import Sequence

import nats.errors
import orjson
from nats.js import JetStreamContext
from nats.js.api import Header

from application.followers import CannotReset
from application.log import Recorded
from domain.errors import Unavailable
from infrastructure import logs
from infrastructure.followers.runner import FollowerRunner
from infrastructure.nats.relay import NAME
from infrastructure.postgres.connection import AnyConnection
from projections.nats_messages import message
from tests.support.handed_on import connected

ACKNOWLEDGED_WITHIN = 5.0
"""Seconds for a batch: it is published again where an acknowledgement got lost."""


class NaiveRelay:
    name = NAME

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def handle(self, events: Sequence[Recorded], transaction: AnyConnection) -> None:
        """The position is committed afterwards, as for each follower."""
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                acknowledged = []
                for subject, headers, data in (message(*recorded) for recorded in events):
                    identified = {**headers, Header.MSG_ID: headers["ce-id"]}
                    body = orjson.dumps(data)
                    acknowledged.append(await self._jetstream.publish_async(subject, body, headers=identified))
                await asyncio.gather(*acknowledged)
        except (TimeoutError, nats.errors.Error) as error:
            raise Unavailable(f"not acknowledged: {error!r}") from error

    async def reset(self, position: int, transaction: AnyConnection) -> None:
        raise CannotReset("the stream keeps what was published")


async def relay(url: str, broker_url: str) -> None:
    connection = await connected(broker_url)
    await FollowerRunner(url, NaiveRelay(connection.jetstream()), poll=0.05).run(asyncio.Event())


if __name__ == "__main__":
    logs.configure("info")
    asyncio.run(relay(sys.argv[1], sys.argv[2]))
