import pytest

from application.preferences.history import History, PageStart
from domain.errors import ValidationFailed
from tests.support.events import BOB, opened, toggled
from tests.support.memory_store import MemoryStore


@pytest.fixture
def history() -> History:
    store = MemoryStore()
    store.log = [opened(), opened(BOB), toggled(2, "news", True, BOB)]
    store.log += [toggled(version, "news", version % 2 == 0) for version in range(2, 7)]
    return History(store)


async def test_the_newest_change_comes_first_and_the_opening_is_no_change(history: History) -> None:
    page = await history.page("org_math", "user_ada", limit=50)
    assert [entry.version for entry in page.entries] == [6, 5, 4, 3, 2]
    assert page.next is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
async def test_pages_follow_each_other_without_gap_or_repeat(history: History, limit: int) -> None:
    seen, start = [], None
    for _ in range(10):
        page = await history.page("org_math", "user_ada", limit=limit, after=start)
        seen += [entry.version for entry in page.entries]
        start = page.next
        if start is None:
            break
    assert seen == [6, 5, 4, 3, 2]


async def test_a_user_without_changes_has_an_empty_page(history: History) -> None:
    page = await History(MemoryStore()).page("org_math", "user_ada", limit=50)
    assert (page.entries, page.next) == ([], None)


@pytest.mark.parametrize("start", [PageStart(1, "x"), PageStart(4, "x")])
async def test_a_start_that_is_not_of_this_stream_is_refused(history: History, start: PageStart) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await history.page("org_math", "user_ada", limit=50, after=start)
    assert refused.value.details == {"cursor": "must be one that this endpoint returned"}


async def test_the_start_of_another_users_page_is_refused(history: History) -> None:
    foreign = (await history.page("org_math", "user_ada", limit=1)).next
    with pytest.raises(ValidationFailed):
        await history.page(None, "user_bob", limit=1, after=foreign)
