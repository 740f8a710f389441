"""The two use cases, against a store that breaks on demand."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from application.preferences.draft import Draft
from application.preferences.preferences import ROUNDS, Preferences
from application.preferences.remembered import RememberedRows
from application.preferences.state import Change, State
from application.preferences.store import Append, AppendRefused, OutcomeUnknown
from domain.errors import PreconditionFailed, Unavailable
from domain.events import NotificationToggled
from domain.preferences import stream_id
from domain.provenance import Provenance, Source
from tests.support.events import KEY, TRACEPARENT, opened, row_after
from tests.support.memory_store import MemoryStore, Mishap

ADA, BOB, EVE = (stream_id("org_math", f"user_{name}") for name in ("ada", "bob", "eve"))
DIGEST, NEWS = "email.weekly_usage_digest", "email.product_updates"
_REQUESTS = itertools.count(1)


def change(stream=ADA, precondition: Callable[[State], bool] | None = None, **toggles: bool) -> Change:
    paths = {"digest": DIGEST, "news": NEWS}
    provenance = Provenance(
        {"user": "user_ada"},
        "org_math",
        Source.DASHBOARD,
        f"request-{next(_REQUESTS)}",
        datetime(2026, 3, 3, tzinfo=UTC),
        1,
    )
    return Change(stream, {paths[name]: enabled for name, enabled in toggles.items()}, provenance, precondition)


def toggles(store: MemoryStore) -> list[tuple[str, bool]]:
    return [(event.path, event.enabled) for event in store.log if isinstance(event, NotificationToggled)]


class Raise(Mishap):
    def __init__(self, error: Exception, *, after: bool = False) -> None:
        self.error, self.late = error, after

    def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
        if not self.late:
            raise self.error

    def after(self, store: MemoryStore, appends: Sequence[Append]) -> None:
        raise self.error


class SomebodyElse(Mishap):
    """Another process appends first, and the append that follows finds the stream moved on."""

    def __init__(self, *changes: Change) -> None:
        self.changes = changes

    def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
        record(store, *self.changes)


def record(store: MemoryStore, *changes: Change) -> None:
    for one in changes:
        draft = Draft(one.stream, store.rows.get(one.stream))
        draft.decide(one, (f"other-{n}" for n in itertools.count(len(store.log))))
        append = draft.to_append(lambda: KEY)
        store.log.extend(append.events)
        store.rows[one.stream] = append.row


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ids() -> Iterator[str]:
    return (f"event-{n}" for n in itertools.count(1))


@pytest.fixture
async def preferences(store: MemoryStore, ids: Iterator[str]):
    service = Preferences(store, ids, lambda: KEY, resolve_for=0.2)
    yield service
    await service.close()


async def test_who_never_chose_stands_at_version_0_and_reading_stores_nothing(preferences, store) -> None:
    assert await preferences.read(ADA) == State(ADA, 0, {})
    assert store.log == []


async def test_a_change_is_recorded_and_answered_and_read_back(preferences, store) -> None:
    state = await preferences.change(change(digest=True))
    assert state == State(ADA, 2, {DIGEST: True}) == await preferences.read(ADA)
    assert toggles(store) == [(DIGEST, True)]


async def test_a_change_of_nothing_answers_the_state_and_records_nothing(preferences, store) -> None:
    assert await preferences.change(change()) == State(ADA, 0, {})
    await preferences.change(change(digest=True))
    assert await preferences.change(change(digest=True)) == State(ADA, 2, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True)]


async def test_the_traceparent_of_a_change_is_in_each_of_its_events_and_in_no_other(preferences, store) -> None:
    traced = change(digest=True, news=False)
    await preferences.change(traced._replace(provenance=traced.provenance._replace(traceparent=TRACEPARENT)))
    await preferences.change(change(digest=False))
    assert [event.traceparent for event in store.log] == [TRACEPARENT, TRACEPARENT, TRACEPARENT, None]


async def test_a_batch_is_recorded_within_the_context_that_traces_it(store, ids) -> None:
    # Given a tracing system that notes what was in the log when a batch began and when it had ended
    batches: list[tuple[list[str], int, int]] = []

    @contextmanager
    def trace(changes: Sequence[Change]) -> Iterator[None]:
        before = len(store.log)
        yield
        batches.append(([one.provenance.request_id for one in changes], before, len(store.log)))

    preferences = Preferences(store, ids, lambda: KEY, trace=trace)
    # when one change comes, and two while it is recorded
    wishes = [change(ADA, digest=True), change(BOB, digest=True), change(EVE, digest=True)]
    await asyncio.gather(*map(preferences.change, wishes))
    await preferences.close()
    # then each change was in one batch
    requests = [wish.provenance.request_id for wish in wishes]
    assert [request for batch, _, _ in batches for request in batch] == requests
    # and a batch had recorded its changes when its context ended.
    assert [(before, after) for _, before, after in batches][-1][1] == len(store.log) == 6


async def test_what_was_appended_is_counted_and_in_which_batches(preferences, store) -> None:
    await preferences.change(change(digest=True))
    await preferences.change(change(digest=True))
    await asyncio.gather(preferences.read(ADA), preferences.read(BOB))
    assert preferences.appended == len(store.log) == 2
    assert preferences.batches == {"reads": (1, 2, 0), "changes": (2, 2, 0)}


async def test_reads_of_the_same_moment_share_one_look_at_the_store(preferences, store) -> None:
    first = asyncio.create_task(preferences.read(ADA))
    await asyncio.gather(first, *(preferences.read(stream) for stream in (ADA, BOB, EVE) * 10))
    assert store.loads <= 2


async def test_changes_of_one_stream_in_one_batch_are_decided_one_after_the_other(preferences, store) -> None:
    states = await asyncio.gather(
        *(preferences.change(change(digest=enabled)) for enabled in (True, False, False, True))
    )
    assert [state.choices[DIGEST] for state in states] == [True, False, False, True]
    assert toggles(store) == [(DIGEST, True), (DIGEST, False), (DIGEST, True)]
    assert [event.originator_version for event in store.log] == [1, 2, 3, 4]


async def test_a_change_that_was_overtaken_is_decided_anew(preferences, store) -> None:
    store.mishaps = [SomebodyElse(change(news=False))]
    state = await preferences.change(change(digest=True))
    assert state.choices == {NEWS: False, DIGEST: True}
    assert toggles(store) == [(NEWS, False), (DIGEST, True)]


async def test_who_is_always_overtaken_is_told_so_in_the_end(preferences, store) -> None:
    store.mishaps = [SomebodyElse(change(news=bool(n % 2))) for n in range(ROUNDS)]
    with pytest.raises(Unavailable):
        await preferences.change(change(digest=True))


async def test_a_precondition_is_checked_on_the_state_that_the_change_is_decided_from(preferences, store) -> None:
    await preferences.change(change(digest=True))
    store.mishaps = [SomebodyElse(change(news=False))]
    with pytest.raises(PreconditionFailed):
        await preferences.change(change(precondition=lambda state: state.version == 2, digest=False))
    assert toggles(store) == [(DIGEST, True), (NEWS, False)]


async def test_a_refusal_that_rests_on_an_unrecorded_neighbour_waits_for_its_fate(preferences, store) -> None:
    """Two changes of one batch, the second refused because of the first; then somebody else overtakes the first."""
    store.mishaps = [SomebodyElse(change(digest=True))]
    first, second = await asyncio.gather(
        preferences.change(change(digest=True)),
        preferences.change(
            change(precondition=lambda state: state.version == 2 and len(state.choices) == 1, news=True)
        ),
    )
    assert first.choices == {DIGEST: True}
    assert second.choices == {DIGEST: True, NEWS: True}


async def test_one_bad_member_never_harms_the_others(preferences, store) -> None:
    class PoisonedByEve(Mishap):
        def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
            if any(append.row.stream == EVE for append in appends):
                raise AppendRefused("a value that the database doesn't take")

    store.mishaps = [PoisonedByEve() for _ in range(9)]
    blocker = asyncio.create_task(preferences.change(change(BOB, digest=False)))
    results = await asyncio.gather(
        blocker,
        *(preferences.change(change(stream, digest=True)) for stream in (ADA, EVE, BOB)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [State, State, AppendRefused, State]
    assert EVE not in store.rows


async def test_what_was_recorded_before_a_neighbour_lost_its_connection_has_its_outcome(preferences, store) -> None:
    class Refused(Mishap):
        def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
            if len(appends) > 1:
                raise AppendRefused("not together")
            if appends[0].row.stream == EVE:
                raise Unavailable("down")

    store.mishaps = [Refused() for _ in range(9)]
    blocker = asyncio.create_task(preferences.change(change(BOB, digest=False)))
    unchanged = State.of(ADA, None)
    results = await asyncio.gather(
        blocker,
        preferences.change(change(ADA, precondition=lambda state: state == unchanged, digest=True)),
        preferences.change(change(EVE, digest=True)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [State, State, Unavailable]
    assert results[1].choices == {DIGEST: True}


async def test_an_unreachable_store_is_told_at_once_and_nothing_is_recorded(preferences, store) -> None:
    store.unreachable = [Unavailable("down")]
    with pytest.raises(Unavailable):
        await preferences.change(change(digest=True))
    assert store.log == []
    assert (await preferences.change(change(digest=True))).choices == {DIGEST: True}


async def test_a_commit_whose_answer_was_lost_is_found_in_the_log(preferences, store) -> None:
    store.mishaps = [Raise(OutcomeUnknown("cut"), after=True)]
    assert await preferences.change(change(digest=True)) == State(ADA, 2, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True)]


async def test_a_commit_that_never_happened_is_made_again(preferences, store) -> None:
    store.mishaps = [Raise(OutcomeUnknown("cut"))]
    assert await preferences.change(change(digest=True)) == State(ADA, 2, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True)]


async def test_a_lost_commit_is_recognised_even_after_somebody_changed_it_back(preferences, store) -> None:
    class CommitThenRevert(Raise):
        def after(self, store: MemoryStore, appends: Sequence[Append]) -> None:
            record(store, change(digest=False))
            raise self.error

    store.mishaps = [CommitThenRevert(OutcomeUnknown("cut"), after=True)]
    assert await preferences.change(change(digest=True)) == State(ADA, 2, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True), (DIGEST, False)]


async def test_a_commit_that_arrives_late_counts_once_and_meets_its_precondition(preferences, store) -> None:
    """The server looks, finds nothing, tries again, and only then does the first commit take effect."""

    class Late(Mishap):
        def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
            self.appends = list(appends)
            raise OutcomeUnknown("cut")

    class TakesEffectNow(Mishap):
        def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
            for append in late.appends:
                store.log.extend(append.events)
                store.rows[append.row.stream] = append.row

    late = Late()
    store.mishaps = [late, TakesEffectNow()]
    state = await preferences.change(change(precondition=lambda state: state.version == 0, digest=True))
    assert state == State(ADA, 2, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True)]


async def test_a_neighbour_without_events_of_its_own_shares_the_luck_of_the_batch(preferences, store) -> None:
    store.mishaps = [Raise(OutcomeUnknown("cut"), after=True)]
    first, second = await asyncio.gather(*(preferences.change(change(digest=True)) for _ in range(2)))
    assert first == second == State(ADA, 2, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True)]


async def test_a_fate_that_can_not_be_learnt_in_time_is_unavailable_never_a_false_success(preferences, store) -> None:
    class CutAndGone(Raise):
        def after(self, store: MemoryStore, appends: Sequence[Append]) -> None:
            store.unreachable = [Unavailable("down")] * 100
            raise self.error

    store.mishaps = [CutAndGone(OutcomeUnknown("cut"), after=True)]
    with pytest.raises(Unavailable):
        await preferences.change(change(digest=True))
    store.unreachable = []
    assert await preferences.change(change(digest=True)) == State(ADA, 2, {DIGEST: True}), "asking again is safe"
    assert toggles(store) == [(DIGEST, True)]


async def test_a_change_of_what_was_seen_lately_needs_no_look_at_the_store(preferences, store) -> None:
    await preferences.change(change(digest=True))
    looks = store.loads
    assert await preferences.change(change(digest=False)) == State(ADA, 3, {DIGEST: False})
    assert store.loads == looks
    record(store, change(BOB, news=False))
    await preferences.read(BOB)
    looks = store.loads
    assert (await preferences.change(change(BOB, news=True))).choices == {NEWS: True}
    assert store.loads == looks


async def test_what_was_seen_lately_and_changed_elsewhere_is_never_believed(preferences, store) -> None:
    """The remembered row says that the digest is on. Elsewhere it was turned off: turning it on is a change."""
    await preferences.change(change(digest=True))
    record(store, change(digest=False))
    assert await preferences.change(change(digest=True)) == State(ADA, 4, {DIGEST: True})
    assert toggles(store) == [(DIGEST, True), (DIGEST, False), (DIGEST, True)]


async def test_two_processes_that_change_the_same_user_in_turns_soon_read_instead_of_guessing(store, ids) -> None:
    # Given two processes, each of which remembers rows that the other one changes
    processes = [Preferences(store, ids, lambda: KEY) for _ in range(2)]
    # when a user's changes are spread over both,
    for number in range(10):
        await processes[0].change(change(digest=number % 2 == 0))
        await processes[1].change(change(news=number % 2 == 0))
    # then each change takes the two round trips that it takes without a memory, except for one wrong guess of each process.
    assert len(toggles(store)) == 20
    assert store.loads + store.appends == 2 * 20 + 2
    for process in processes:
        await process.close()


async def test_a_precondition_is_never_refused_because_of_what_was_seen_lately(preferences, store) -> None:
    await preferences.change(change(digest=True))
    record(store, change(news=False))
    state = await preferences.change(change(precondition=lambda state: state.version == 3, digest=False))
    assert state.choices == {DIGEST: False, NEWS: False}


async def test_a_precondition_is_never_met_because_of_what_was_seen_lately(preferences, store) -> None:
    await preferences.change(change(digest=True))
    record(store, change(news=False))
    with pytest.raises(PreconditionFailed):
        await preferences.change(change(precondition=lambda state: state.version == 2, digest=False))


def test_no_more_rows_are_remembered_than_allowed_and_each_is_handed_out_once() -> None:
    remembered = RememberedRows(most=2)
    rows = [row_after(None, opened(stream)) for stream in (ADA, BOB, EVE)]
    remembered.put(rows)
    assert remembered.take([ADA, BOB, EVE]) == {BOB: rows[1], EVE: rows[2]}
    assert remembered.take([BOB, EVE]) == {}


@pytest.mark.parametrize(
    ("source", "named"),
    [(Source.LINK, "erased"), (Source.ONE_CLICK, "erased"), (Source.DASHBOARD, "user_ada")],
    ids=lambda value: str(value),
)
async def test_a_link_of_an_erased_person_switches_off_and_does_not_name_the_person_again(
    preferences, store, source: Source, named: str
) -> None:
    # Given a person who was erased, so that there is no key any more
    await preferences.change(change(digest=True))
    erasure = Draft(ADA, store.rows[ADA])
    erasure.erase(change().provenance, iter(["erasure"]))
    store.log.extend(erasure.events)
    store.rows[ADA] = erasure.to_append(None).row._replace(key=None)
    # when their choice is changed, then it is, and a click on a link leaves them unnamed, also by the trace that it is part of.
    wish = change(digest=False)
    await preferences.change(wish._replace(provenance=wish.provenance._replace(source=source, traceparent=TRACEPARENT)))
    assert toggles(store)[-1] == (DIGEST, False)
    assert store.log[-1].actor == {"user": named}
    assert store.log[-1].traceparent == (None if named == "erased" else TRACEPARENT)
    # The same holds for the next click, so there is no key under which the person would be known again.
    wish = change(news=False)
    await preferences.change(wish._replace(provenance=wish.provenance._replace(source=source, traceparent=TRACEPARENT)))
    assert store.log[-1].actor == {"user": named}
    assert (store.rows[ADA].key is None) == (named == "erased")


async def test_a_link_of_a_person_who_was_not_erased_says_whose_it_was(preferences, store) -> None:
    for wish in (change(news=False), change(digest=False)):
        await preferences.change(wish._replace(provenance=wish.provenance._replace(source=Source.ONE_CLICK)))
    assert [event.actor for event in store.log] == [{"user": "user_ada"}] * 3


# What no standby has


async def test_a_repeated_choice_is_acknowledged_only_once_it_is_confirmed(preferences, store) -> None:
    # Given a recorded choice, which the loss of the server could undo
    await preferences.change(change(digest=True))
    store.unconfirmed.append(Unavailable("no standby"))
    # when it is repeated, then nothing is promised;
    with pytest.raises(Unavailable, match="no standby"):
        await preferences.change(change(digest=True))
    # and once it is confirmed, nothing needs to be recorded.
    assert (await preferences.change(change(digest=True))).choices == {DIGEST: True}
    assert toggles(store) == [(DIGEST, True)]


async def test_a_change_beside_a_repeated_choice_keeps_its_answer(preferences, store) -> None:
    await preferences.change(change(digest=True))
    store.unconfirmed.append(Unavailable("no standby"))
    repeated, changed = await asyncio.gather(
        preferences.change(change(digest=True)), preferences.change(change(BOB, news=False)), return_exceptions=True
    )
    assert isinstance(repeated, Unavailable)
    assert isinstance(changed, State)


async def test_a_commit_whose_answer_was_lost_is_acknowledged_only_once_it_is_confirmed(store) -> None:
    preferences = Preferences(store, (f"event-{n}" for n in itertools.count()), lambda: KEY, resolve_for=0.2)
    store.mishaps.append(Raise(OutcomeUnknown(), after=True))
    store.unconfirmed += [Unavailable("no standby")]
    assert (await preferences.change(change(digest=True))).choices == {DIGEST: True}
    assert store.unconfirmed == []
    store.mishaps.append(Raise(OutcomeUnknown(), after=True))
    store.unconfirmed += [Unavailable("no standby")] * 1000
    with pytest.raises(Unavailable, match="no standby"):
        await preferences.change(change(digest=False))
