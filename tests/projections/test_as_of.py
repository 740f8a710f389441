"""Preferences as of an instant: the last choice for each toggle, and the defaults of the catalogue then in force."""

from domain.catalogue import Catalogue, Channel, Toggle, Words
from domain.published_catalogues import PublishedCatalogues
from projections.as_of import PreferencesAsOf
from tests.support.catalogues import catalogue, published
from tests.support.events import toggled

CATALOGUE = catalogue(1, news=True, digest=False)
PUBLISHED = PublishedCatalogues([published(CATALOGUE)])


def test_a_choice_wins_and_a_default_speaks_where_there_is_none() -> None:
    chosen = toggled(2, "news", False)
    found = PreferencesAsOf.of(CATALOGUE, 2, [chosen], PUBLISHED)
    assert found.resolved == {"email": {"news": False, "digest": False}}
    assert found.deciding == {"email.news": chosen}


def test_who_never_chose_has_the_defaults() -> None:
    found = PreferencesAsOf.of(CATALOGUE, 0, [], PUBLISHED)
    assert (found.choices, found.resolved) == ({}, CATALOGUE.resolve({}))


def test_a_choice_for_what_the_catalogue_does_not_have_is_kept_and_not_shown() -> None:
    found = PreferencesAsOf.of(CATALOGUE, 2, [toggled(2, "fax", True)], PUBLISHED)
    assert found.choices == {"email.fax": True}
    assert found.resolved == CATALOGUE.resolve({})


def test_the_words_are_those_that_were_shown_with_the_choice_or_else_those_in_force() -> None:
    # Given catalogues with changing words, the first one without any
    def worded(version: int) -> Catalogue:
        words = {name: Words(name, f"As of version {version}.") for name in ("news", "digest")}
        return Catalogue(version, (Channel("email", tuple(Toggle(name, True, words=words[name]) for name in words)),))

    catalogues = PublishedCatalogues([published(CATALOGUE), published(worded(2)), published(worded(3))])
    # when a choice was made under each of them,
    for version, said in ((1, None), (2, Words("news", "As of version 2.")), (9, None)):
        chosen = toggled(2, "news", False, catalogue_version=version)
        found = PreferencesAsOf.of(worded(3), 2, [chosen], catalogues)
        # then its words are told, and the newest where nothing was chosen.
        assert found.words("email", "news") == said
        assert found.words("email", "digest") == Words("digest", "As of version 3.")
