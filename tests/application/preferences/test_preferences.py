"""The two use cases, against a store that breaks on demand."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from application.preferences.draft import Draft
from application.preferences.preferences import ROUNDS, Preferences
from application.preferences.remembered import RememberedRows
from application.preferences.state import Change, State
from application.preferences.store import Append, AppendRefused
from domain.errors import PreconditionFailed, Unavailable
from domain.provenance import Source
from tests.support.events import KEY, TRACEPARENT, opened, row_after
from tests.support.memory_changes import ADA, BOB, DIGEST, EVE, NEWS, SomebodyElse, change, record, toggles
from tests.support.memory_store import MemoryStore, Mishap


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
