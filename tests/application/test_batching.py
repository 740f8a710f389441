"""Group commit: what waits together is handled together, and nothing that was accepted is ever lost."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from application import batching
from application.batching import TICK, WORTH, Batcher
from domain.errors import Unavailable


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


@pytest.fixture
async def handler() -> Handler:
    return Handler()


@pytest.fixture
async def batcher(handler) -> Batcher[int, int]:
    return Batcher(handler)


async def settle() -> None:
    """Let everybody do what can be done without waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_item_that_comes_alone_is_handled_at_once(batcher, handler) -> None:
    assert await batcher.submit(1) == 2
    assert await batcher.submit(2) == 4
    assert handler.batches == [[1], [2]]


async def test_what_arrives_while_a_batch_is_under_way_makes_up_the_next_one_in_its_order(batcher, handler) -> None:
    handler.gate.clear()
    first = asyncio.create_task(batcher.submit(1))
    await settle()
    rest = [asyncio.create_task(batcher.submit(item)) for item in (5, 3, 4, 3)]
    await settle()
    assert handler.batches == [[1]]
    handler.gate.set()
    assert await asyncio.gather(first, *rest) == [2, 10, 6, 8, 6]
    assert handler.batches == [[1], [5, 3, 4, 3]]


@pytest.mark.parametrize("at_once", [False, True])
async def test_batches_are_counted_and_who_waits_for_one(handler, at_once: bool) -> None:
    batcher = Batcher(handler, at_once=at_once)
    handler.gate.clear()
    first = asyncio.create_task(batcher.submit(1))
    await settle()
    rest = [asyncio.create_task(batcher.submit(item)) for item in (2, 3, 4)]
    # Given one that is handled, which is not at the end of its batch, and others
    await settle()
    under_way = 2 if at_once else 1
    assert batcher.figures == (under_way, 4 if at_once else 1, 0 if at_once else 3)
    handler.gate.set()
    await asyncio.gather(first, *rest)
    assert batcher.figures == (2, 4, 0)


@pytest.mark.parametrize(("gather", "batches"), [(False, [[1, 2], [3], [4]]), (True, [[1, 2], [3, 4]])])
async def test_who_gathers_waits_for_those_who_come_as_soon_as_they_have_their_answers(
    handler, gather, batches
) -> None:
    batcher = Batcher(handler, gather=gather)
    handler.gate.clear()

    async def ask(*items: int) -> None:
        for item in items:
            await batcher.submit(item)

    # Given two who are under way together, of whom one has another question, and somebody who waits
    asking = [asyncio.create_task(ask(1, 4)), asyncio.create_task(ask(2))]
    await settle()
    asking.append(asyncio.create_task(ask(3)))
    await settle()
    # when the two are answered
    handler.gate.set()
    await asyncio.gather(*asking)
    assert handler.batches == batches


async def test_nobody_waits_for_company_after_an_item_that_came_alone(handler) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    await settle()
    taken = {}
    for gather in (False, True):
        batcher = Batcher(handler, gather=gather)
        before = turns
        await batcher.submit(1)
        await batcher.submit(2)
        taken[gather] = turns - before
    counting.cancel()
    assert taken[True] == taken[False]


async def test_a_batch_has_a_largest_size(handler) -> None:
    batcher = Batcher(handler, largest=2)
    assert await asyncio.gather(*(batcher.submit(item) for item in range(5))) == [0, 2, 4, 6, 8]
    assert handler.batches == [[0, 1], [2, 3], [4]]


async def test_one_failing_member_fails_alone(batcher, handler) -> None:
    handler.failing[2] = ValueError("two")
    results = await asyncio.gather(*(batcher.submit(item) for item in (1, 2, 3)), return_exceptions=True)
    assert results == [2, handler.failing[2], 6]
    assert handler.batches == [[1, 2, 3]]


async def test_a_handler_that_raises_fails_its_batch_and_no_other(batcher, handler) -> None:
    handler.raises = Unavailable("no database")
    results = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert results == [handler.raises, handler.raises]
    handler.raises = None
    assert await batcher.submit(3) == 6


async def test_a_handler_that_answers_too_little_is_no_success_for_anybody() -> None:
    async def forgetful(items: Sequence[int]) -> Sequence[int]:
        return list(items)[1:]

    batcher = Batcher(forgetful, patience=0.2)
    first, second = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(result, Exception) for result in results)


async def test_who_gives_up_loses_nothing_of_what_was_handed_in(batcher, handler) -> None:
    # Given one whose item is being handled, one whose item waits, and others
    handler.gate.clear()
    under_way = asyncio.create_task(batcher.submit(1))
    await settle()
    waiting, other = asyncio.create_task(batcher.submit(2)), asyncio.create_task(batcher.submit(3))
    await settle()
    # when the first two give up
    under_way.cancel()
    waiting.cancel()
    await asyncio.gather(under_way, waiting, return_exceptions=True)
    handler.gate.set()
    # then all is handled, and the others don't notice.
    assert await other == 6
    assert handler.finished == [[1], [2, 3]]
    assert await batcher.submit(4) == 8


async def test_what_still_waits_when_its_caller_is_told_so_is_never_done(handler) -> None:
    # Given a batch that takes long, and one who waits behind it until nothing comes of it
    batcher = Batcher(handler, patience=0.1)
    handler.gate.clear()
    under_way = asyncio.create_task(batcher.submit(1))
    await settle()
    with pytest.raises(Unavailable, match="no answer within"):
        await batcher.submit(2)
    # when the batch comes to its end
    handler.gate.set()
    await settle()
    # then nothing is done that was refused, and somebody else is served, in a batch of its own.
    assert handler.finished == [[1]]
    assert await batcher.submit(3) == 6
    assert handler.batches == [[1], [3]]
    await asyncio.gather(under_way, return_exceptions=True)


async def test_patience_ends_for_the_caller_and_not_for_what_is_under_way(handler) -> None:
    batcher = Batcher(handler, patience=0.02)
    handler.gate.clear()
    with pytest.raises(Unavailable, match="no answer within"):
        await batcher.submit(1)
    assert handler.finished == []
    handler.gate.set()
    await settle()
    assert handler.finished == [[1]]


async def test_everybody_has_a_patience_of_their_own(handler) -> None:
    batcher = Batcher(handler, patience=0.3)
    handler.gate.clear()
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(batcher.submit(2))
    with pytest.raises(Unavailable, match="no answer within"):
        await first
    assert not second.done()
    handler.gate.set()
    assert await second == 4


async def test_who_was_answered_is_forgotten_soon_and_never_told_to_go(batcher) -> None:
    assert await batcher.submit(1) == 2
    await asyncio.sleep(2 * TICK)
    assert not batcher._unanswered
    assert batcher._watch is None
    assert await batcher.submit(2) == 4


async def test_a_failure_that_nobody_waits_for_any_more_harms_nobody(handler) -> None:
    batcher = Batcher(handler, patience=0.02)
    handler.gate.clear()
    with pytest.raises(Unavailable, match="no answer within"):
        await batcher.submit(1)
    handler.raises = ValueError("late")
    handler.gate.set()
    await settle()
    handler.raises = None
    assert await batcher.submit(2) == 4


async def test_a_full_queue_refuses_at_once_and_recovers(handler) -> None:
    # Given a handler that doesn't come back, and as many who wait as may wait
    batcher = Batcher(handler, queue_limit=3, patience=5)
    handler.gate.clear()
    accepted = [asyncio.create_task(batcher.submit(0))]
    await settle()
    accepted += [asyncio.create_task(batcher.submit(item)) for item in (1, 2, 3)]
    await settle()
    # when one more comes, then it is refused without any wait
    started = time.perf_counter()
    with pytest.raises(Unavailable, match="the queue is full"):
        await batcher.submit(4)
    assert time.perf_counter() - started < 0.05
    # and those who were accepted get what they came for, and so does the next one.
    handler.gate.set()
    assert await asyncio.gather(*accepted) == [0, 2, 4, 6]
    assert await batcher.submit(5) == 10
    assert handler.batches == [[0], [1, 2, 3], [5]]


async def test_close_finishes_what_was_accepted_and_refuses_what_comes_after(batcher, handler) -> None:
    handler.gate.clear()
    accepted = [asyncio.create_task(batcher.submit(1))]
    await settle()
    accepted += [asyncio.create_task(batcher.submit(item)) for item in (2, 3)]
    await settle()
    closing = asyncio.create_task(batcher.close())
    await settle()
    with pytest.raises(Unavailable, match="shutting down"):
        await batcher.submit(4)
    assert not closing.done()
    handler.gate.set()
    await closing
    assert handler.finished == [[1], [2, 3]]
    assert await asyncio.gather(*accepted) == [2, 4, 6]


async def test_close_has_nothing_to_wait_for_where_nothing_was_handed_in(batcher, handler) -> None:
    await batcher.close()
    await batcher.close()
    assert handler.batches == []


async def test_close_does_not_wait_for_ever_for_what_never_comes_back(handler, monkeypatch) -> None:
    monkeypatch.setattr(batching, "LINGER", 0.05)
    batcher = Batcher(handler, patience=0.02)
    handler.gate.clear()
    accepted = asyncio.create_task(batcher.submit(1))
    await settle()
    await batcher.close()
    with pytest.raises(Unavailable, match="no answer within"):
        await accepted
    await settle()
    assert handler.finished == []
    await batcher.close()


class TestAtOnce:
    """An item that comes alone is handled in its caller's own task."""

    @pytest.fixture
    async def batcher(self, handler) -> Batcher[int, int]:
        return Batcher(handler, at_once=True)

    async def test_the_caller_does_it_itself(self) -> None:
        tasks = []

        async def handle(items: Sequence[int]) -> Sequence[int]:
            tasks.append(asyncio.current_task())
            return items

        batcher = Batcher(handle, at_once=True)
        assert [await batcher.submit(1), await batcher.submit(2)] == [1, 2]
        assert tasks == [asyncio.current_task()] * 2

    async def test_who_gathers_handles_an_item_at_once_only_after_one_that_came_alone(self, handler) -> None:
        batcher = Batcher(handler, gather=True, at_once=True)

        async def come(*items: int) -> list[list[int]]:
            """The batches that these items, which come together, are handled in."""
            before = len(handler.batches)
            handler.gate.clear()
            calls = [asyncio.create_task(batcher.submit(item)) for item in items]
            await settle()
            handler.gate.set()
            assert await asyncio.gather(*calls) == [2 * item for item in items]
            await settle()
            return handler.batches[before:]

        # Given no item before, then several are one batch, again and again.
        assert await come(1, 2, 3) == [[1, 2, 3]]
        assert await come(4, 5, 6) == [[4, 5, 6]]
        # When one has come alone, then the next one is handled at once, whatever comes with it.
        assert await come(7) == [[7]]
        assert await come(8, 9, 10) == [[8], [9, 10]]
        assert await come(11, 12) == [[11, 12]]

    async def test_what_arrives_meanwhile_is_a_batch_that_waits_for_nobody(self, batcher, handler) -> None:
        handler.gate.clear()
        calls = [asyncio.create_task(batcher.submit(item)) for item in (1, 2, 3)]
        await settle()
        assert handler.batches == [[1], [2, 3]]
        handler.gate.set()
        assert await asyncio.gather(*calls) == [2, 4, 6]

    async def test_a_failure_is_its_own_and_the_next_is_handled_again(self, batcher, handler) -> None:
        handler.failing[1] = KeyError("one")
        with pytest.raises(KeyError, match="one"):
            await batcher.submit(1)
        handler.raises = RuntimeError("all")
        with pytest.raises(RuntimeError, match="all"):
            await batcher.submit(2)
        handler.raises = None
        assert await batcher.submit(3) == 6

    async def test_a_caller_who_goes_takes_the_item_along_and_makes_way(self, batcher, handler) -> None:
        handler.gate.clear()
        gone = asyncio.create_task(batcher.submit(1))
        await settle()
        gone.cancel()
        await settle()
        handler.gate.set()
        assert await batcher.submit(2) == 4
        assert handler.finished == [[2]]

    async def test_closing_waits_for_it_and_takes_nothing_more(self, batcher, handler) -> None:
        handler.gate.clear()
        call = asyncio.create_task(batcher.submit(1))
        await settle()
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(2 * TICK)
        assert not closing.done()
        with pytest.raises(Unavailable):
            await batcher.submit(2)
        handler.gate.set()
        await closing
        assert await call == 2


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
