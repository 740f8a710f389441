"""The order of a rebuild, against a shadow in memory; the real one is tested on PostgreSQL."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import reduce

import pytest

from application import rebuild
from application.rebuild import Comparison, Placed, Rebuild
from domain.events import PreferencesEvent
from projections.current_preferences import project
from tests.support.events import ADA, BOB, opened, toggled


class MemoryShadow:
    """A log that goes on growing: `meanwhile` holds what is appended before each further look at it."""

    def __init__(self, log: list[PreferencesEvent], *meanwhile: list[PreferencesEvent]) -> None:
        self.log, self.meanwhile = list(log), list(meanwhile)
        self.rows: dict = {}
        self.steps: list[str] = []
        self.in_snapshot = False

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[int]:
        self.in_snapshot = True
        yield len(self.log)
        self.in_snapshot = False

    @asynccontextmanager
    async def swap(self) -> AsyncIterator[None]:
        self.steps.append("hold")
        yield
        self.steps.append("swap")

    async def events(self, after: int) -> AsyncIterator[tuple[int, PreferencesEvent]]:
        if not self.in_snapshot and self.meanwhile:
            self.log += self.meanwhile.pop(0)
        for position, event in enumerate(self.log, 1):
            if position > after:
                yield position, event

    async def write(self, rows: Collection[Placed], *, fresh: bool) -> None:
        self.steps.append(f"write {len(rows)}")
        for placed in rows:
            assert not fresh or placed.row.stream not in self.rows
            self.rows[placed.row.stream] = placed

    async def compare(self) -> Comparison:
        assert self.in_snapshot
        self.steps.append("compare")
        return Comparison("a", "a", 0, [])


LOG = [opened(), toggled(2, "news", True), opened(BOB), toggled(3, "news", False)]
TAIL = [toggled(2, "digest", True, BOB)]


async def test_the_whole_log_is_folded_compared_and_swapped_in() -> None:
    shadow = MemoryShadow(LOG)
    result = await Rebuild(shadow, lambda done, total: None).run(swap=True)
    assert shadow.rows[ADA] == Placed(reduce(project, [LOG[0], LOG[1], LOG[3]], None), 4)
    assert shadow.rows[BOB] == Placed(project(None, LOG[2]), 3)
    assert shadow.steps == ["write 2", "compare", "write 0", "hold", "write 0", "swap"]
    assert (result.events, result.users, result.position, result.equal) == (4, 2, 4, True)


async def test_without_a_swap_nobody_waits_and_nothing_is_replaced() -> None:
    shadow = MemoryShadow(LOG)
    await Rebuild(shadow, lambda done, total: None).run(swap=False)
    assert shadow.steps == ["write 2", "compare"]


async def test_what_is_appended_meanwhile_is_caught_up_with_while_the_writers_wait() -> None:
    shadow = MemoryShadow(LOG, [], TAIL)
    await Rebuild(shadow, lambda done, total: None).run(swap=True)
    assert shadow.rows[BOB].row.choices == {"email.digest": True}
    assert shadow.steps[-3:] == ["hold", "write 1", "swap"]


async def test_the_writers_are_not_held_before_little_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "NEARLY_THERE", 0)
    shadow = MemoryShadow(LOG, TAIL, [toggled(4, "news", True)])
    await Rebuild(shadow, lambda done, total: None).run(swap=True)
    assert shadow.steps == ["write 2", "compare", "write 1", "write 1", "write 0", "hold", "write 0", "swap"]


async def test_progress_is_told_in_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "REPORT_EVERY", 2)
    told: list[tuple[int, int]] = []
    await Rebuild(MemoryShadow(LOG), lambda done, total: told.append((done, total))).run(swap=False)
    assert told == [(2, 4), (4, 4), (4, 4)]
