"""Preferences as of an instant: the last choice for each toggle, and the defaults of the catalogue then in force."""

from projections.as_of import PreferencesAsOf
from tests.support.catalogues import catalogue
from tests.support.events import toggled

CATALOGUE = catalogue(1, news=True, digest=False)


def test_a_choice_wins_and_a_default_speaks_where_there_is_none() -> None:
    chosen = toggled(2, "news", False)
    found = PreferencesAsOf.of(CATALOGUE, 2, [chosen])
    assert found.resolved == {"email": {"news": False, "digest": False}}
    assert found.deciding == {"email.news": chosen}


def test_who_never_chose_has_the_defaults() -> None:
    found = PreferencesAsOf.of(CATALOGUE, 0, [])
    assert (found.choices, found.resolved) == ({}, CATALOGUE.resolve({}))


def test_a_choice_for_what_the_catalogue_does_not_have_is_kept_and_not_shown() -> None:
    found = PreferencesAsOf.of(CATALOGUE, 2, [toggled(2, "fax", True)])
    assert found.choices == {"email.fax": True}
    assert found.resolved == CATALOGUE.resolve({})
