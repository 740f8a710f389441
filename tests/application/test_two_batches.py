"""Under load, a batcher with a key handles two batches side by side, and never two items with the same key."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from application.batching import WORTH, Batcher
from tests.support.batches import Handler, settle


@pytest.fixture
async def handler() -> Handler:
    return Handler()


def submitted(batcher: Batcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(batcher.submit(item)) for item in items]


async def test_with_a_key_a_second_batch_begins_beside_the_first_once_enough_items_wait_and_never_a_third(
    handler,
) -> None:
    batcher = Batcher(handler, key=lambda item: item)
    handler.gate.clear()
    # Given a batch in hand, and nearly enough items for another
    tasks = submitted(batcher, [100])
    await settle()
    tasks += submitted(batcher, range(WORTH - 1))
    await settle()
    assert handler.batches == [[100]]
    # when one more comes, then they are handled beside it,
    tasks += submitted(batcher, [WORTH - 1])
    await settle()
    assert handler.batches == [[100], [*range(WORTH)]]
    # and all that come later wait.
    tasks += submitted(batcher, range(200, 300))
    await settle()
    assert len(handler.batches) == 2
    handler.gate.set()
    assert await asyncio.gather(*tasks) == [200, *range(0, 2 * WORTH, 2), *range(400, 600, 2)]
    assert [len(batch) for batch in handler.batches] == [1, WORTH, 100]


async def test_a_second_batch_is_no_smaller_than_the_first(handler) -> None:
    batcher = Batcher(handler, key=lambda item: item)
    handler.gate.clear()
    tasks = submitted(batcher, range(3 * WORTH))
    await settle()
    tasks += submitted(batcher, range(100, 100 + 3 * WORTH - 1))
    await settle()
    assert len(handler.batches) == 1
    tasks += submitted(batcher, [200])
    await settle()
    assert [len(batch) for batch in handler.batches] == [3 * WORTH, 3 * WORTH]
    handler.gate.set()
    await asyncio.gather(*tasks)


async def test_items_with_the_same_key_are_never_handled_side_by_side(handler) -> None:
    batcher = Batcher(handler, key=lambda item: item % 2)
    handler.gate.clear()
    # Given an odd item in hand, when more come, then the even ones are handled beside it,
    tasks = submitted(batcher, [1])
    await settle()
    tasks += submitted(batcher, [3, 2, 5, *range(4, 4 + 2 * WORTH, 2), 7])
    await settle()
    assert handler.batches == [[1], [2, *range(4, 4 + 2 * WORTH, 2)]]
    # and the odd ones afterwards, in the order in which they came.
    handler.gate.set()
    await asyncio.gather(*tasks)
    assert handler.batches[2:] == [[3, 5, 7]]


async def test_what_must_wait_for_the_batch_in_hand_is_handled_after_it(handler) -> None:
    batcher = Batcher(handler, key=lambda _: "the same")
    handler.gate.clear()
    tasks = submitted(batcher, [1])
    await settle()
    tasks += submitted(batcher, range(2, 2 + 2 * WORTH))
    await settle()
    assert handler.batches == [[1]]
    handler.gate.set()
    await asyncio.gather(*tasks)
    assert handler.batches == [[1], [*range(2, 2 + 2 * WORTH)]]


async def test_under_any_load_each_item_is_handled_once_and_those_of_a_key_one_after_the_other() -> None:
    chance = random.Random(23)
    handled: dict[int, list[int]] = {}
    in_hand: Counter[int] = Counter()
    most_side_by_side = 0

    async def handle(items: Sequence[int]) -> Sequence[int]:
        nonlocal most_side_by_side
        keys = {item % 40 for item in items}
        in_hand.update(keys)
        in_hand["batches"] += 1
        most_side_by_side = max(most_side_by_side, in_hand["batches"])
        assert all(in_hand[key] == 1 for key in keys)
        await asyncio.sleep(chance.choice([0, 0, 0.001]))
        for item in items:
            handled.setdefault(item % 40, []).append(item)
        in_hand.subtract([*keys, "batches"])
        return items

    batcher = Batcher(handle, key=lambda item: item % 40, patience=60, largest=32)
    tasks: list[asyncio.Task[int]] = []
    for item in range(3000):
        tasks += submitted(batcher, [item])
        if chance.random() < 0.05:
            await asyncio.sleep(chance.choice([0, 0.001]))
    assert await asyncio.gather(*tasks) == [*range(3000)]
    assert handled == {key: [*range(key, 3000, 40)] for key in range(40)}
    assert most_side_by_side == 2


async def test_a_lone_item_is_handled_as_soon_as_without_a_key(handler) -> None:
    for key in (None, lambda item: item):
        batcher = Batcher(handler, key=key)
        task = asyncio.create_task(batcher.submit(1))
        for _ in range(3):
            await asyncio.sleep(0)
        assert handler.finished[-1:] == [[1]]
        handler.finished.clear()
        assert await task == 2


async def test_closing_waits_for_both_batches(handler) -> None:
    batcher = Batcher(handler, key=lambda item: item)
    handler.gate.clear()
    tasks = submitted(batcher, [100])
    await settle()
    tasks += submitted(batcher, range(WORTH))
    await settle()
    closing = asyncio.create_task(batcher.close())
    await settle()
    assert not closing.done()
    handler.gate.set()
    await closing
    assert [task.result() for task in tasks] == [200, *range(0, 2 * WORTH, 2)]
