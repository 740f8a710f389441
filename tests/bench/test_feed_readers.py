"""The readers of the stream while changes are measured."""

import pytest

from bench.parts.feed import _arrivals
from tests.support.events_client import events_key
from tests.support.server import Server


async def test_a_reader_that_is_refused_ends_the_measurement(server: Server) -> None:
    key = (await events_key(server.database_url, "org_math"))["Authorization"].removeprefix("Bearer ")
    port = int(server.url.rpartition(":")[2])
    # The negative control: with a key that may read, both go on until the measurement ends.
    async with _arrivals(port, lambda: 0, key, key):
        pass
    # Given a key that the service doesn't know, then it neither waits without end nor measures without that reader.
    with pytest.raises(RuntimeError, match="the stream was refused"):
        async with _arrivals(port, lambda: 0, "unknown", key):
            pass
