"""The made-up year: in order, believable, and the same for the same seed."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from application.audit.summary import SUMMARY
from application.demo.acts import Act, Choose, Erase, Look, Publish, Sign
from application.demo.people import IMPORTER, MAIN, ORGANIZATIONS
from application.demo.year import DIGEST, ERASURES, IMPORTED, INCIDENT, LENGTH, NEW_CATALOGUE, NEWS, former, year
from domain.catalogue import CATALOGUE, Catalogue
from domain.provenance import Source
from tests.support.events import NOON

FIRST = replace(CATALOGUE, version=1)
SECOND = replace(CATALOGUE, version=2)
BEGAN = (NOON - LENGTH).replace(hour=0)


@pytest.fixture(scope="module", params=[FIRST, SECOND], ids=["one catalogue", "two catalogues"])
def catalogue(request) -> Catalogue:
    return request.param


@pytest.fixture(scope="module")
def acts(catalogue: Catalogue) -> list[Act]:
    return year(Random(1), NOON, 2000, catalogue)


@pytest.fixture(scope="module")
def choices(acts: list[Act]) -> list[Choose]:
    return [act for act in acts if isinstance(act, Choose)]


def test_it_is_a_whole_year_in_order_up_to_now(acts) -> None:
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    assert acts[0].at == BEGAN
    assert NOON - timedelta(days=2) < acts[-1].at < NOON
    assert sum(isinstance(act, Sign) for act in acts) == 26


def test_the_same_seed_makes_the_same_year_and_another_one_another(acts, catalogue) -> None:
    assert year(Random(1), NOON, 2000, catalogue) == acts
    assert year(Random(2), NOON, 2000, catalogue) != acts


def test_the_newest_catalogue_is_published_in_the_course_of_the_year_and_only_then_its_toggle_is_chosen(
    acts, choices, catalogue
) -> None:
    published = [(act.at, act.catalogue) for act in acts if isinstance(act, Publish)]
    if catalogue.version == 1:
        assert published == [(BEGAN, catalogue)]
        assert former(catalogue) is None
        return
    [(_, first), (changed, last)] = published
    assert (first, last) == (former(catalogue), catalogue)
    assert first.version == 1
    assert catalogue.defaults.keys() - first.defaults.keys() == {DIGEST}
    assert changed.date() == (BEGAN + timedelta(days=NEW_CATALOGUE)).date()
    assert min(act.at for act in choices if DIGEST in act.requested) > changed


def test_every_choice_is_one_that_the_catalogue_of_its_time_has(acts) -> None:
    known: Catalogue | None = None
    for act in acts:
        if isinstance(act, Publish):
            known = act.catalogue
        elif isinstance(act, Choose):
            assert known is not None
            assert act.requested.keys() <= known.defaults.keys()
            if act.source in (Source.ONE_CLICK, Source.LINK):
                assert not any(act.requested.values()), "a link only switches off"


def test_the_mistaken_mails_are_a_wave_of_opt_outs_and_some_come_back(choices) -> None:
    off = Counter((act.at - BEGAN).days for act in choices if act.requested.get(NEWS) is False)
    on = Counter((act.at - BEGAN).days for act in choices if act.requested.get(NEWS) is True)
    before = sum(off[day] for day in range(INCIDENT - 30, INCIDENT)) / 30
    assert off[INCIDENT] > 20 * before
    assert off[INCIDENT] > off[INCIDENT + 1] > off[INCIDENT + 3]
    assert sum(on[day] for day in range(INCIDENT + 3, INCIDENT + 40)) > 2 * sum(
        on[day] for day in range(INCIDENT - 37, INCIDENT)
    )


def test_choices_come_from_several_sources_and_some_by_the_support(choices) -> None:
    sources = Counter(act.source for act in choices)
    assert sources.keys() == {Source.DASHBOARD, Source.API, Source.ONE_CLICK, Source.LINK, Source.IMPORT}
    assert sources.most_common(1)[0][0] is Source.DASHBOARD
    assert 10 < sum(act.support is not None for act in choices) < len(choices) / 20
    imported = [act for act in choices if act.source is Source.IMPORT]
    assert {act.organization for act in imported} == {IMPORTER}
    assert {(act.at - BEGAN).days for act in imported} == {IMPORTED}
    assert len(imported) > 50


def test_some_people_are_erased_and_do_nothing_afterwards(acts, choices) -> None:
    erased = {(act.organization, act.user): act.at for act in acts if isinstance(act, Erase)}
    assert len(erased) == ERASURES
    assert (MAIN, "user_demo") not in erased
    assert all(act.at < erased.get((act.organization, act.user), NOON) for act in choices)


def test_officers_look_every_week_and_most_of_all_after_the_incident(acts) -> None:
    looks = [act for act in acts if isinstance(act, Look)]
    assert {look.organization for look in looks} == {MAIN, IMPORTER}
    summaries = [look for look in looks if look.organization == MAIN and look.action == SUMMARY]
    assert len(summaries) == 52
    assert {look.at.weekday() for look in summaries} == {0}
    upset = Counter((look.at - BEGAN).days // 7 for look in looks)
    assert upset.most_common(1)[0][0] == INCIDENT // 7


def test_an_organization_without_users_has_nothing_to_look_at() -> None:
    few = next(
        acts
        for acts in (year(Random(seed), NOON, 10, SECOND) for seed in range(50))
        if not any(isinstance(act, Choose) and act.organization == IMPORTER for act in acts)
    )
    assert not [act for act in few if isinstance(act, Look) and act.organization == IMPORTER]


def test_the_organizations_are_large_and_small_and_the_user_of_the_form_has_a_history(choices) -> None:
    users = Counter(organization for organization, _ in {(act.organization, act.user) for act in choices})
    assert users.keys() == ORGANIZATIONS.keys()
    assert users.most_common(1)[0][0] == MAIN
    assert users[MAIN] > 10 * users["org_quill"]
    assert sum((act.organization, act.user) == (MAIN, "user_demo") for act in choices) > 10


def test_people_work_by_day_and_rarely_at_weekends(choices) -> None:
    usual = [act for act in choices if act.source is Source.DASHBOARD]
    at_night = sum(act.at.hour < 6 for act in usual)
    at_weekends = sum(act.at.weekday() >= 5 for act in usual)
    assert at_night < len(usual) * 0.15
    assert at_weekends < len(usual) * 0.22
