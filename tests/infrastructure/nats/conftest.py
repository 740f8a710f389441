"""A real NATS, and a new stream on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from nats.js.api import DiscardPolicy, StreamConfig

from infrastructure.embedded.nats_server import NatsServer
from infrastructure.nats.jetstream import SUBJECTS
from tests.support.handed_on import STREAM, connected
from tests.support.relaying import WINDOW


@pytest.fixture(scope="package")
def broker() -> Iterator[NatsServer]:
    with TemporaryDirectory(prefix="preferences-test-") as folder, NatsServer(Path(folder)) as server:
        yield server


@pytest.fixture
async def forgetful(broker: NatsServer) -> AsyncIterator[str]:
    """The broker's address; the stream there is new, and forgets message ids at once."""
    connection = await connected(broker.url)
    jetstream = connection.jetstream()
    config = StreamConfig(
        name=STREAM, subjects=[SUBJECTS], duplicate_window=WINDOW, allow_atomic=True, discard=DiscardPolicy.NEW
    )
    await jetstream.add_stream(config)
    yield broker.url
    with suppress(Exception):
        await jetstream.delete_stream(STREAM)
    await connection.close()
