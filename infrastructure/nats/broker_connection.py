"""A connection to the broker. When it is lost, each question that waits for an answer fails at once."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client

from domain.errors import Unavailable

ANSWER_WITHIN: Final = 3.0
"""Seconds after which the relay gives up a broker that does not answer."""

Answer = TypeVar("Answer")

log = structlog.get_logger("relay")


class BrokerUnavailable(Unavailable):
    """The broker can't be reached, or did not answer. The outcome of running requests is unknown."""


class BrokerConnection:
    """Connects to any server of one cluster. It is closed until `open` is called."""

    def __init__(self, servers: Sequence[str], credentials: str | None) -> None:
        self._servers = list(servers)
        self._credentials = credentials
        self._client: Client | None = None
        self._lost = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client:
        """Raises `BrokerUnavailable` after `close`, and before `open`."""
        if self._client is None:
            raise BrokerUnavailable("the connection to NATS was lost")
        return self._client

    async def close(self) -> None:
        """The outcome of every unanswered request is unknown."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)

    async def open(self) -> None:
        """Raises `BrokerUnavailable`."""
        await self.close()
        client, lost = Client(), asyncio.Event()
        said: list[Exception] = []

        async def on_error(error: Exception) -> None:
            said.append(error)

        async def on_close() -> None:
            lost.set()

        try:
            # Each server is tried at most twice. The client must not reconnect by itself after a break: the relay first has to ask again
            # where the stream ends.
            await client.connect(
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
            await _closed(client)
            reason = said[-1] if said else error
            raise BrokerUnavailable(f"NATS can't be reached: {str(reason) or type(reason).__name__}") from error
        self._client, self._lost = client, lost

    async def answer(self, question: Awaitable[Answer]) -> Answer:
        """The answer, or an error as soon as the connection is lost. nats-py by itself would wait for its whole time-out."""
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
            # A question that fails while it is given up has an error that no code awaits. asyncio would log it with a traceback.
            await asyncio.gather(asked, lost, return_exceptions=True)


@contextmanager
def _translated() -> Iterator[None]:
    """Turns nats-py's errors into ours. Two pass unchanged: the requested object does not exist, and the message is too large, because a
    retry does not make it smaller.
    """
    try:
        yield
    except (nats.js.errors.NotFoundError, nats.errors.MaxPayloadError):
        raise
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"NATS didn't answer: {str(error) or type(error).__name__}") from error


async def _closed(client: Client) -> None:
    try:
        async with asyncio.timeout(2):
            await client.close()
    except (nats.errors.Error, OSError, TimeoutError) as error:
        log.debug("nats", error=str(error) or type(error).__name__)
