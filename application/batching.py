"""Group commit: items that wait at the same time are handled together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from domain.errors import Unavailable

TICK: Final = 0.05
"""Seconds between two checks for callers who have waited too long."""

LINGER: Final = 2.0
"""Seconds for which `close` still waits for items after the patience of their callers has ended."""

WORTH: Final = 8
"""Items that must wait before a second batch begins beside the first one. A batch of fewer items costs more than the time it saves."""


class BatchFigures(NamedTuple):
    """`batches` were handled so far, with `items` in them. `waiting` items are in no batch yet."""

    batches: int
    items: int
    waiting: int


Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Passes items to `handle` in batches, in the order of arrival: one batch at a time, or two with `key`.

    An item that comes alone is handled at once; it doesn't wait for a batch to fill. Items that arrive while a batch is being
    handled form the next batch. So batches grow with the load, and the items of a batch share its fixed cost.

    `handle` returns one result for each item, in the same order. An exception in place of a result fails that item alone.
    `largest` bounds a batch. `queue_limit` bounds the waiting items; beyond it `submit` raises `Unavailable` at once.
    `patience` is how many seconds a caller waits before it gets `Unavailable`. If its item is being handled by then, the handling
    goes on, since the item may be part of a transaction. If the item still waits, it is dropped: handled later, it could undo a
    change that the caller or another client has made meanwhile by another way.

    With `gather`, other tasks get a turn of the event loop between two batches, so that items which arrive meanwhile join the
    next batch. Use it for a `handle` whose cost is mostly its own work, which larger batches share. A `handle` that mostly waits
    for another system should get its next batch at once.

    With `at_once`, an item that comes alone is handled in its caller's own task, two turns of the event loop sooner. Use it for
    a `handle` that limits its own time (`patience` doesn't apply), may be cancelled together with its caller, and may run
    beside a batch. Together with `gather`, an item counts as alone only if the item before it came alone, too. Under load, each
    item that comes first would otherwise have the fixed cost for itself.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        largest: int = 256,
        queue_limit: int = 4096,
        patience: float = 0.85,
        gather: bool = False,
        at_once: bool = False,
        key: Callable[[Item], Hashable] | None = None,
    ) -> None:
        self._handle = handle
        self._largest = largest
        self._queue_limit = queue_limit
        self._patience = patience
        self._gather = gather
        self._at_once = at_once
        self._key = key
        self._alone = False
        self._lately_alone = not gather
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._unanswered: deque[tuple[float, asyncio.Future[Result]]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._in_hand: list[Sequence[tuple[Item, asyncio.Future[Result]]]] = []
        self._closed = False
        self._batches = 0
        self._items = 0

    @property
    def figures(self) -> BatchFigures:
        return BatchFigures(self._batches, self._items, len(self._waiting))

    async def submit(self, item: Item) -> Result:
        if self._closed:
            raise Unavailable("shutting down")
        if self._at_once and self._lately_alone and not self._alone and not self._workers:
            self._alone = True
            self._batches += 1
            self._items += 1
            try:
                [result] = await self._handle([item])
            finally:
                self._alone = False
            if isinstance(result, Exception):
                raise result
            return result
        if len(self._waiting) >= self._queue_limit:
            raise Unavailable("the queue is full")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        self._unanswered.append((loop.time() + self._patience, future))
        if not self._workers or (len(self._workers) == 1 and self._is_worth_another()):
            self._workers.add(loop.create_task(self._work()))
        if self._watch is None:
            self._watch = loop.call_later(TICK, self._give_up)
        return await future

    def _give_up(self) -> None:
        """Fail the callers who have waited too long. They share one timer, because a timer for each costs more than its item."""
        loop = asyncio.get_running_loop()
        while self._unanswered:
            due, future = self._unanswered[0]
            if not future.done():
                if due > loop.time():
                    break
                future.set_exception(Unavailable(f"no answer within {self._patience} s"))
            self._unanswered.popleft()
        self._watch = loop.call_later(TICK, self._give_up) if self._unanswered else None

    async def close(self) -> None:
        """Accept no more items. Return when every accepted item has been handled.

        Items that aren't handled `LINGER` seconds after the end of the last caller's patience are given up: a system that never
        answers, such as a frozen database, must not keep this process from ending.
        """
        self._closed = True
        while self._alone:  # noqa: ASYNC110 - an event for each item would cost as much as `at_once` saves
            await asyncio.sleep(TICK)
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=self._patience + LINGER)
            for worker in late:
                worker.cancel()

    async def _work(self) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        try:
            while self._waiting and (not self._in_hand or self._is_worth_another()):
                if batch := self._next_batch():
                    self._in_hand.append(batch)
                    try:
                        await self._handle_batch(batch)
                    finally:
                        self._in_hand.remove(batch)
                    if self._gather and len(batch) > 1:
                        await asyncio.sleep(0)
                elif self._in_hand:
                    # Everything that waits must wait for the batch beside this one, whose worker then goes on.
                    break
        finally:
            self._workers.discard(worker)

    def _is_worth_another(self) -> bool:
        """Whether to begin a second batch beside the one in hand."""
        if self._key is None or len(self._in_hand) != 1:
            return False
        return len(self._waiting) >= max(WORTH, len(self._in_hand[0]))

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """The next items to handle. Empty if every waiting caller has already received `Unavailable`, or must wait for the batch in hand."""
        key = self._key
        in_hand = {key(item) for batch in self._in_hand for item, _ in batch} if key is not None else set()
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        held: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < self._largest:
            item, future = self._waiting.popleft()
            if in_hand and key is not None and key(item) in in_hand:
                held.append((item, future))
            # A cancelled caller received no error, so its item still runs.
            elif not future.done() or future.cancelled():
                batch.append((item, future))
        self._waiting.extendleft(reversed(held))
        return batch

    async def _handle_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        self._batches += 1
        self._items += len(batch)
        results: Sequence[Result | Exception]
        self._lately_alone = len(batch) == 1 or not self._gather
        try:
            results = await self._handle([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items: no telling whose they are")
        except Exception as error:  # noqa: BLE001 - every error goes to the callers, not to the worker
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # The caller has left; its item was handled anyway.
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
