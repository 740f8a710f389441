"""The order of a rebuild, against a shadow in memory; the real one is tested on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from application import rebuild
from application.rebuild import Comparison, Folded, Rebuild, TableInUse


class MemoryShadow:
    """A log that goes on growing: `meanwhile` says by how much before each further look at its end."""

    parts = 2

    def __init__(self, end: int, *meanwhile: int, in_use: int = 0, gap: range = range(0)) -> None:
        self.gap = gap
        self.log_end, self.meanwhile, self.in_use = end, [0, *meanwhile], in_use
        self.steps: list[str] = []

    async def about(self) -> int:
        return 12

    async def before_next(self, position: int) -> int:
        return self.gap.stop - 1 if position + 1 in self.gap else position

    async def end(self) -> int:
        self.log_end += self.meanwhile.pop(0) if self.meanwhile else 0
        return self.log_end

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[int]:
        self.steps.append("snapshot")
        yield await self.end()
        self.steps.append("release")

    @asynccontextmanager
    async def swap(self) -> AsyncIterator[int]:
        self.steps.append("hold")
        if self.in_use:
            self.in_use -= 1
            raise TableInUse
        yield await self.end()
        self.steps.append("swap")

    async def fold(self, after: int, up_to: int, part: int) -> Folded:
        self.steps.append(f"fold {part} {after}-{up_to}")
        return Folded(up_to - after, int(after == 0)) if part else Folded(0, 0)

    async def fold_rest(self, after: int, up_to: int) -> Folded:
        self.steps.append(f"rest {after}-{up_to}")
        return Folded(up_to - after, int(after == 0))

    async def compare(self) -> Comparison:
        assert self.steps[-1].startswith(("snapshot", "rest"))
        self.steps.append("compare")
        return Comparison("a", "a", 0, [])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "NEARLY_THERE", 2)
    monkeypatch.setattr(rebuild, "STRIDE", 10)
    monkeypatch.setattr(rebuild, "ATTEMPTS", 3)
    monkeypatch.setattr(rebuild, "PAUSE", 0)


async def run(shadow: MemoryShadow, *, swap: bool = True) -> rebuild.RebuildResult:
    return await Rebuild(shadow, lambda done, total: None).run(swap=swap)


async def test_the_whole_log_is_folded_in_strides_then_compared_and_swapped_in() -> None:
    shadow = MemoryShadow(15)
    result = await run(shadow)
    folds = ["fold 0 0-10", "fold 1 0-10", "fold 0 10-15", "fold 1 10-15"]
    assert shadow.steps == [*folds, "snapshot", "compare", "release", "hold", "swap"]
    assert (result.events, result.users, result.position, result.equal) == (15, 1, 15, True)


async def test_without_a_swap_nobody_waits_and_nothing_is_replaced() -> None:
    shadow = MemoryShadow(1)
    await run(shadow, swap=False)
    assert shadow.steps == ["snapshot", "rest 0-1", "compare", "release"]


async def test_what_is_appended_meanwhile_is_caught_up_with_while_the_writers_wait() -> None:
    shadow = MemoryShadow(2, 0, 0, 1)
    await run(shadow)
    assert shadow.steps == ["snapshot", "rest 0-2", "compare", "release", "hold", "rest 2-3", "swap"]


async def test_the_writers_are_not_held_before_little_is_left() -> None:
    shadow = MemoryShadow(2, 0, 5, 4, 0)
    await run(shadow)
    folds = ["fold 0 2-7", "fold 1 2-7", "fold 0 7-11", "fold 1 7-11"]
    assert shadow.steps == ["snapshot", "rest 0-2", "compare", "release", *folds, "hold", "swap"]


async def test_while_somebody_holds_the_table_the_swap_is_tried_again_with_what_came_meanwhile() -> None:
    shadow = MemoryShadow(2, 0, 0, 3, 0, 1, in_use=2)
    result = await run(shadow)
    folds = ["fold 0 2-5", "fold 1 2-5"]
    assert shadow.steps == [
        "snapshot",
        "rest 0-2",
        "compare",
        "release",
        "hold",
        *folds,
        "hold",
        "hold",
        "rest 5-6",
        "swap",
    ]
    assert (result.events, result.position) == (2, 2)


async def test_who_never_lets_go_is_told_of_and_nothing_is_swapped() -> None:
    shadow = MemoryShadow(2, in_use=99)
    with pytest.raises(TableInUse):
        await run(shadow)
    assert shadow.steps[-3:] == ["hold"] * 3
    assert shadow.steps.count("hold") == 3


async def test_an_empty_log_is_an_empty_table() -> None:
    result = await run(MemoryShadow(0))
    assert (result.events, result.users, result.position) == (0, 0, 0)


async def test_a_gap_of_any_size_is_stepped_over_at_once() -> None:
    # Given a log that was continued on another server
    shadow = MemoryShadow(10**15 + 5, gap=range(16, 10**15))
    # when it is folded
    await run(shadow, swap=False)
    # then each stretch begins with an event.
    assert [step for step in shadow.steps if step.startswith("fold 0")] == [
        "fold 0 0-10",
        "fold 0 10-20",
        f"fold 0 {10**15 - 1}-{10**15 + 5}",
    ]


async def test_progress_is_told_in_events_since_positions_have_gaps() -> None:
    told: list[tuple[int, int]] = []
    await Rebuild(MemoryShadow(15), lambda done, total: told.append((done, total))).run(swap=False)
    assert told == [(10, 12), (15, 15), (15, 15)]
