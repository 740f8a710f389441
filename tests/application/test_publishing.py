"""Publishing a catalogue, also while somebody else does, and saying beforehand what it would change."""

import itertools
from collections.abc import Sequence

import pytest

from application.publishing import Publishing, Unchosen
from domain.catalogue import Catalogue
from domain.events import CataloguePublished
from domain.published_catalogues import CatalogueRefused, PublishedCatalogues, catalogue_of
from tests.support.catalogues import catalogue, published
from tests.support.events import NOON

FIRST = catalogue(1, news=True, digest=False)


class Log:
    """`faster`: catalogues that somebody else publishes just before us. `choices`: those of the users there are."""

    def __init__(self, *events: CataloguePublished, faster: Sequence[Catalogue] = (), choices: Sequence[set[str]] = ()):
        self.events = list(events)
        self.faster = list(faster)
        self.choices = choices

    async def published(self) -> PublishedCatalogues:
        return PublishedCatalogues(tuple(self.events))

    async def append(self, event: CataloguePublished, *, follows: CataloguePublished | None) -> bool:
        if self.faster:
            self.events.append(published(self.faster.pop(0)))
        if (self.events[-1] if self.events else None) is not follows:
            return False
        self.events.append(event)
        return True

    async def unchosen(self, paths: Sequence[str]) -> Unchosen:
        by_path = {path: sum(path not in chosen for chosen in self.choices) for path in paths}
        return Unchosen(len(self.choices), by_path, sum(not chosen >= set(paths) for chosen in self.choices))


def publishing(log: Log) -> Publishing:
    return Publishing(log, (f"01JTBQH2FZ8K1RXC0WJ4Z{n:05}" for n in itertools.count()), lambda: NOON)


def versions(log: Log) -> list[int]:
    return [event.catalogue_version for event in log.events]


async def test_what_is_published_stands_in_the_log_with_ids_of_its_own() -> None:
    log = Log()
    event = await publishing(log).publish(FIRST)
    assert log.events == [event]
    assert event is not None
    assert catalogue_of(event) == FIRST
    assert event.event_id != event.request_id
    assert event.timestamp == NOON


async def test_a_second_time_publishes_nothing() -> None:
    log = Log(published(FIRST))
    assert await publishing(log).publish(FIRST) is None
    assert versions(log) == [1]


async def test_who_is_overtaken_by_the_same_catalogue_has_nothing_left_to_do() -> None:
    log = Log(faster=[FIRST])
    assert await publishing(log).publish(FIRST) is None
    assert versions(log) == [1]


async def test_who_is_overtaken_by_an_older_one_follows_it() -> None:
    log = Log(faster=[FIRST, catalogue(2, news=False)])
    assert await publishing(log).publish(catalogue(3, news=True)) is not None
    assert versions(log) == [1, 2, 3]


async def test_who_is_overtaken_by_a_newer_one_is_refused() -> None:
    log = Log(faster=[catalogue(2, news=False)])
    with pytest.raises(CatalogueRefused):
        await publishing(log).publish(FIRST)
    assert versions(log) == [2]


USERS = [{"email.news"}, {"email.digest"}, {"email.news", "email.digest"}, set()]


async def test_a_changed_default_is_for_who_recorded_no_choice() -> None:
    log = Log(published(FIRST), choices=USERS)
    impact = await publishing(log).impact(catalogue(2, news=False, digest=False))
    assert (impact.users, impact.affected, impact.without_choice) == (4, 2, {"email.news": 2})
    assert [alteration.path for alteration in impact.alterations] == ["email.news"]
    assert versions(log) == [1]


async def test_who_lacks_a_choice_for_several_is_counted_once() -> None:
    impact = await publishing(Log(published(FIRST), choices=USERS)).impact(catalogue(2, news=False, digest=True))
    assert (impact.affected, impact.without_choice) == (3, {"email.news": 2, "email.digest": 2})


async def test_a_new_toggle_is_in_everybodys_answer() -> None:
    wider = catalogue(2, news=True, digest=False, offers=False)
    impact = await publishing(Log(published(FIRST), choices=USERS)).impact(wider)
    assert (impact.users, impact.affected, impact.without_choice) == (4, 4, {})


async def test_a_mandatory_toggle_is_in_nobodys() -> None:
    impact = await publishing(Log(published(FIRST), choices=USERS)).impact(
        catalogue(2, news=True, digest=False, alerts=None)
    )
    assert (impact.users, impact.affected) == (4, 0)
    assert len(impact.alterations) == 1


async def test_the_first_catalogue_changes_no_answer() -> None:
    impact = await publishing(Log(choices=USERS)).impact(FIRST)
    assert (impact.published, impact.users, impact.affected) == (None, 4, 0)


async def test_what_would_be_refused_is_refused_beforehand() -> None:
    with pytest.raises(CatalogueRefused):
        await publishing(Log(published(FIRST))).impact(catalogue(1, news=False))
