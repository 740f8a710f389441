"""Group commit: what waits together is handled together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from domain.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Hands items to `handle` in batches, one batch at a time, in the order of arrival.

    An item that comes alone is handled at once: nobody waits for a batch to fill. Whatever arrives while a batch is under
    way makes up the next one, so batches grow with the load and the fixed price of one is shared.

    `handle` answers with one result for each item, in their order; an exception in place of a result fails that item
    alone. `largest` bounds a batch and `queue_limit` the items that wait; past it `submit` raises `Unavailable` at once.
    `patience` is how long a caller waits, in seconds, before it is told `Unavailable`; its item is handled all the same,
    since it may be part of a transaction by then.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        largest: int = 256,
        queue_limit: int = 4096,
        patience: float = 0.9,
    ) -> None:
        self._handle = handle
        self._largest = largest
        self._queue_limit = queue_limit
        self._patience = patience
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: Item) -> Result:
        if self._closed:
            raise Unavailable("shutting down")
        if len(self._waiting) >= self._queue_limit:
            raise Unavailable("the queue is full")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(self._patience):
                return await future
        except TimeoutError:
            raise Unavailable(f"no answer within {self._patience} s") from None

    async def close(self) -> None:
        """Take nothing more; return when everything that was accepted has been handled."""
        self._closed = True
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._largest)
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._handle_batch(batch)
        finally:
            self._worker = None

    async def _handle_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._handle([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait, not to the worker
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # the caller has gone; its item was handled all the same
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
