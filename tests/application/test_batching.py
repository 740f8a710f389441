"""Group commit: what waits together is handled together, and nothing that was accepted is ever lost."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from application import batching
from application.batching import TICK, Batcher
from domain.errors import Unavailable
from tests.support.batches import Handler, settle


@pytest.fixture
async def handler() -> Handler:
    return Handler()


@pytest.fixture
async def batcher(handler) -> Batcher[int, int]:
    return Batcher(handler)


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
