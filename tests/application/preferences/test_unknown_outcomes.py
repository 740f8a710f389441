"""A change whose commit may have been lost, or is not confirmed by a standby: what is answered, and that it counts once."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from application.preferences.preferences import Preferences
from application.preferences.state import State
from application.preferences.store import Append, AppendRefused, OutcomeUnknown
from domain.errors import Unavailable
from tests.support.events import KEY
from tests.support.memory_changes import ADA, BOB, DIGEST, EVE, Raise, change, record, toggles
from tests.support.memory_store import MemoryStore, Mishap


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
