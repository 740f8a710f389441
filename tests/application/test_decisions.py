"""Deciding about many users at once: each by their own choice, all as of one moment."""

import asyncio
from collections.abc import Sequence

import pytest

from application.decisions import END_SERVES, FEW, SLICE, Decisions, StreamState, StreamStates, StreamStateStore
from domain.catalogue import CATALOGUE
from domain.errors import Unavailable
from domain.preferences import stream_keys
from domain.send_question import MAX_USERS, SendQuestion, send_question
from tests.support.events import NOON


class MemoryStandings(StreamStateStore):
    """Choices by path and stream, of users at version 2 and `position`; the log ends at `end`. Each query waits for `gate`."""

    def __init__(self) -> None:
        self.choices: dict[str, dict[bytes, bool | None]] = {}
        self.position, self.end = 7, 9
        self.queries: list[tuple[str, int]] = []
        self.ends_read = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.catalogue_is_held = True
        self.asked_for_catalogue = 0

    def choose(self, user: str, path: str, choice: bool | None) -> None:
        self.choices.setdefault(path, {})[stream_keys("org_math", [user])[0]] = choice

    async def catalogue_held(self) -> bool:
        self.asked_for_catalogue += 1
        return self.catalogue_is_held

    async def stream_states(self, streams: Sequence[bytes], path: str, *, with_end: bool) -> StreamStates:
        assert len(set(streams)) == len(streams)
        self.queries.append((path, len(streams)))
        await self.gate.wait()
        self.ends_read += with_end
        known = self.choices.get(path, {})
        of = {stream: StreamState(2, self.position, known[stream]) for stream in streams if stream in known}
        return StreamStates(self.end if with_end else None, of)


@pytest.fixture
async def store() -> MemoryStandings:
    return MemoryStandings()


@pytest.fixture
async def deciding(store: MemoryStandings) -> Decisions:
    return Decisions(store, lambda: NOON, store.catalogue_held)


def about(*users: str, toggle: str = "product_updates", organization: str = "org_math") -> SendQuestion:
    return send_question({"channel": "email", "toggle": toggle, "users": [*users]}, CATALOGUE, organization)


async def test_each_user_is_answered_in_the_order_asked_with_what_decided(store, deciding) -> None:
    store.choose("user_off", "email.product_updates", False)
    store.choose("user_on", "email.product_updates", True)
    store.choose("user_other", "email.product_updates", None)
    decided = await deciding.decide(about("user_on", "user_new", "user_off", "user_other", "user_on"))
    assert (decided.decided_at, decided.position) == (NOON, 9)
    assert [tuple(one.values()) for one in decided.decisions] == [
        ("user_on", True, "choice", 2, 7),
        ("user_new", True, "default", 0, None),
        ("user_off", False, "choice", 2, 7),
        ("user_other", True, "default", 2, 7),
        ("user_on", True, "choice", 2, 7),
    ]


async def test_decisions_are_counted_by_their_outcome(store, deciding) -> None:
    store.choose("ada", "email.product_updates", False)
    await deciding.decide(about("ada", "bob", "eve"))
    await deciding.decide(about(*(f"user_{number}" for number in range(FEW + 1))))
    assert deciding.decided == {"allowed": 2 + FEW + 1, "denied": 1}
    assert deciding.batches == {"few_decisions": (1, 1, 0), "many_decisions": (1, 1, 0)}


async def test_nothing_is_decided_or_read_before_the_catalogue_is_published(store, deciding) -> None:
    store.catalogue_is_held = False
    for _ in range(2):
        with pytest.raises(Unavailable, match="catalogue is not published"):
            await deciding.decide(about("user_new"))
    assert store.queries == []
    # From then on it is decided, and not asked again.
    store.catalogue_is_held = True
    for _ in range(3):
        assert (await deciding.decide(about("user_new"))).position == 9
    assert store.asked_for_catalogue == 3


async def test_for_a_moment_the_end_of_the_log_is_not_read_again(store, deciding, monkeypatch) -> None:
    for _ in range(3):
        assert (await deciding.decide(about("user_new"))).position == 9
    assert store.ends_read == 1
    # Then the log has become longer:
    store.end = 12
    loop = asyncio.get_running_loop()
    later = loop.time() + END_SERVES
    monkeypatch.setattr(loop, "time", lambda: later)
    assert (await deciding.decide(about("user_new"))).position == 12
    assert store.ends_read == 2


async def test_where_a_user_stands_the_log_has_come_to(store, deciding) -> None:
    assert (await deciding.decide(about("user_new"))).position == 9
    # Given a change of since
    store.position = 11
    store.choose("user_off", "email.product_updates", False)
    # then a decision that knows it says so, and one that has nothing to do with it need not.
    assert (await deciding.decide(about("user_new", "user_off"))).position == 11
    assert (await deciding.decide(about("user_new"))).position == 9


async def test_what_is_mandatory_is_allowed_and_says_where_the_user_stood(store, deciding) -> None:
    store.choose("user_off", "email.security_alerts", False)
    decided = await deciding.decide(about("user_off", "user_new", toggle="security_alerts"))
    assert [tuple(one.values())[1:] for one in decided.decisions] == [
        (True, "mandatory", 2, 7),
        (True, "mandatory", 0, None),
    ]


async def test_the_same_user_of_another_organization_is_somebody_else(store, deciding) -> None:
    store.choose("user_off", "email.product_updates", False)
    [decision] = (await deciding.decide(about("user_off", organization="org_chess"))).decisions
    assert (decision["allowed"], decision["reason"], decision["version"]) == (True, "default", 0)


async def test_thousands_are_one_query(store, deciding) -> None:
    users = [f"user_{number}" for number in range(MAX_USERS)]
    store.choose("user_9999", "email.product_updates", False)
    decided = await deciding.decide(about(*users))
    assert store.queries == [("email.product_updates", MAX_USERS)]
    assert [one["user"] for one in decided.decisions] == users
    assert [one["user"] for one in decided.decisions if not one["allowed"]] == ["user_9999"]


async def test_small_questions_of_the_same_moment_are_one_query_for_each_toggle(store, deciding) -> None:
    store.gate.clear()
    first = asyncio.create_task(deciding.decide(about("user_first")))
    await asyncio.sleep(0)
    others = [asyncio.create_task(deciding.decide(about(f"user_{number % 3}"))) for number in range(9)]
    others.append(asyncio.create_task(deciding.decide(about("user_0", toggle="billing_receipts"))))
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.queries == [("email.product_updates", 1), ("email.product_updates", 3), ("email.billing_receipts", 1)]


async def test_a_question_about_many_keeps_one_about_few_waiting_for_no_query(store, deciding) -> None:
    store.gate.clear()
    many = asyncio.create_task(deciding.decide(about(*(f"user_{number}" for number in range(FEW + 1)))))
    await asyncio.sleep(0)
    few = asyncio.create_task(deciding.decide(about("user_ada")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [count for _, count in store.queries] == [FEW + 1, 1]
    store.gate.set()
    await asyncio.gather(many, few)


async def test_while_thousands_are_decided_it_is_everybody_elses_turn_in_between(store, deciding) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await deciding.decide(about(*(f"user_{number}" for number in range(MAX_USERS))))
    task.cancel()
    assert turns >= 2 * (MAX_USERS // SLICE - 1)


async def test_what_was_accepted_is_finished_and_nothing_more_is_taken(store, deciding) -> None:
    store.gate.clear()
    many = about(*(f"user_{number}" for number in range(FEW + 1)))
    accepted = [asyncio.create_task(deciding.decide(question)) for question in (about("user_ada"), many)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(store.gate.set)
    await deciding.close()
    assert [len((await task).decisions) for task in accepted] == [1, FEW + 1]
    for question in (about("user_ada"), many):
        with pytest.raises(Unavailable):
            await deciding.decide(question)
