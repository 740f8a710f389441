"""A handler of batches that notes what it gets, for the tests of the batcher."""

import asyncio
from collections.abc import Sequence


class Handler:
    """Doubles numbers. Each batch waits for `gate`; what it does with an item can be set beforehand."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.finished: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing: dict[int, Exception] = {}
        self.raises: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        await self.gate.wait()
        if self.raises is not None:
            raise self.raises
        self.finished.append(list(items))
        return [self.failing.get(item, 2 * item) for item in items]


async def settle() -> None:
    """Let every task do what it can do without waiting."""
    for _ in range(10):
        await asyncio.sleep(0)
