"""The order of an erasure, against a store in memory; the real one is tested on PostgreSQL."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from application.erasure import Erased, Erasing, Erasure
from application.preferences.store import Append
from domain.catalogue import CATALOGUE
from domain.events import PreferencesErased
from projections.current_preferences import CurrentPreferences
from tests.support.events import ADA, KEY, NOON, opened, row_after, toggled


class MemoryErasing(Erasing):
    """What an attempt does takes effect when it ends well; `overtaken` is how many attempts don't."""

    def __init__(self, row: CurrentPreferences | None, overtaken: int = 0, count_unsealed_events: int = 0) -> None:
        self.row, self.overtaken, self.open = row, overtaken, count_unsealed_events
        self.attempts = 0
        self.appended: list[Append] = []
        self.blanked: list[UUID] = []

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator["MemoryErasing"]:
        self.attempts += 1
        before = self.row, [*self.blanked]
        try:
            yield self
        except Exception:
            self.row, self.blanked = before
            raise

    async def destroy_key(self, stream: UUID) -> bool:
        if self.row is None or self.row.key is None:
            return False
        self.row = self.row._replace(key=None)
        return True

    async def current(self, stream: UUID) -> CurrentPreferences:
        assert self.row is not None
        return self.row

    async def append(self, append: Append) -> bool:
        if self.attempts <= self.overtaken:
            return False
        self.appended.append(append)
        self.row = append.row
        return True

    async def erase_from_readings(self, stream: UUID) -> int:
        self.blanked.append(stream)
        return 2

    async def count_unsealed_events(self, stream: UUID) -> int:
        return self.open


ROW = row_after(None, opened(), toggled(2, "news", False))


def erasure(store: MemoryErasing) -> Erasure:
    return Erasure(store, CATALOGUE, (f"id-{n}" for n in itertools.count(1)), lambda: NOON)


async def test_the_key_goes_an_event_says_so_and_the_choices_stay() -> None:
    store = MemoryErasing(ROW)
    assert await erasure(store).erase("org_math", "user_ada") == Erased(True, 2, 0)
    [append] = store.appended
    [event] = append.events
    assert type(event) is PreferencesErased
    assert (event.originator_version, event.organization, event.source) == (3, "org_math", "admin")
    assert "user_ada" not in str(vars(event))
    assert (append.expected_version, append.opens_key) == (2, False)
    assert append.row == (ADA, 3, {"email.news": False}, ROW.modified_at, None)
    assert store.blanked == [ADA]


async def test_a_second_time_changes_nothing() -> None:
    store = MemoryErasing(ROW)
    service = erasure(store)
    await service.erase("org_math", "user_ada")
    assert await service.erase("org_math", "user_ada") == Erased(False, 2, 0)
    assert len(store.appended) == 1


async def test_who_never_chose_has_no_key_and_is_blanked_all_the_same() -> None:
    store = MemoryErasing(None)
    assert await erasure(store).erase("org_math", "user_ada") == Erased(False, 2, 0)
    assert (store.blanked, store.appended) == ([ADA], [])


async def test_an_attempt_that_was_overtaken_takes_no_effect_and_is_made_again() -> None:
    store = MemoryErasing(ROW, overtaken=2)
    assert await erasure(store).erase("org_math", "user_ada") == Erased(True, 2, 0)
    assert (store.attempts, len(store.appended), store.blanked) == (3, 1, [ADA])


async def test_what_an_erasure_can_not_reach_is_told() -> None:
    store = MemoryErasing(ROW._replace(key=KEY), count_unsealed_events=4)
    assert await erasure(store).erase("org_math", "user_ada") == Erased(True, 2, 4)
