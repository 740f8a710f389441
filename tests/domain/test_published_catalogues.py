"""The catalogues that were published: which one was in force, and which one may follow."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle, Words
from domain.events import CataloguePublished
from domain.preferences import stream_id
from domain.published_catalogues import STREAM, CatalogueRefused, PublishedCatalogues, catalogue_of, channels_of
from tests.support.catalogues import catalogue, published
from tests.support.events import NOON

FIRST = catalogue(1, news=True)
SECOND = catalogue(2, news=False)
HOUR = timedelta(hours=1)
NEWS = Words("News", "What is new, once a month.")
WORDED = Catalogue(2, (Channel("email", (Toggle("news", True, words=NEWS),), Words("E-mail", "To your address.")),))
WITHOUT_WORDS = Catalogue(2, (Channel("email", (Toggle("news", True),)),))


def publishing(after: PublishedCatalogues, wanted: Catalogue, at: datetime = NOON) -> CataloguePublished | None:
    return after.publishing(
        wanted, at=at, event_id="01JTBQH2G1T3ZC5X8E9V7M4N6P", request_id="01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
    )


SAID = st.none() | st.builds(Words, st.text(), st.text())


@given(
    st.lists(
        st.builds(
            Channel,
            st.text(),
            st.lists(st.builds(Toggle, st.text(), st.booleans(), st.booleans(), SAID)).map(tuple),
            SAID,
        )
    )
)
def test_a_catalogue_comes_back_from_its_event_as_it_was(channels: list[Channel]) -> None:
    wanted = Catalogue(7, tuple(channels))
    assert catalogue_of(published(wanted)) == wanted
    assert channels_of(wanted) == published(wanted).channels


def test_the_stream_of_the_catalogue_is_fixed_and_no_users() -> None:
    assert UUID("63e24eb3-89d0-56e3-ab64-49f46f324caf") == STREAM
    assert stream_id(None, "catalogue") != STREAM


def test_the_first_catalogue_is_published_under_its_own_version() -> None:
    for version in (1, 5):
        event = publishing(PublishedCatalogues([]), catalogue(version, news=True))
        assert event is not None
        assert (event.originator_id, event.originator_version, event.catalogue_version) == (STREAM, version, version)
        assert (event.source, event.timestamp) == ("system", NOON)


def test_the_newest_one_is_not_published_again() -> None:
    assert publishing(PublishedCatalogues([published(FIRST)]), FIRST) is None


@pytest.mark.parametrize("version", [2, 3, 17])
def test_a_higher_version_follows(version: int) -> None:
    event = publishing(PublishedCatalogues([published(FIRST)]), replace(SECOND, version=version))
    assert event is not None
    assert event.catalogue_version == version


def test_a_higher_version_may_say_the_same() -> None:
    assert publishing(PublishedCatalogues([published(FIRST)]), replace(FIRST, version=2)) is not None


def test_other_content_under_the_same_version_is_refused() -> None:
    with pytest.raises(CatalogueRefused, match="version 1 was published on 2026-03-03 with other content"):
        publishing(PublishedCatalogues([published(FIRST)]), replace(SECOND, version=1))


def test_an_older_version_is_refused_whatever_it_says() -> None:
    with pytest.raises(CatalogueRefused, match="version 2 is published, and this release has version 1"):
        publishing(PublishedCatalogues([published(FIRST), published(SECOND)]), FIRST)


def test_time_never_runs_backwards_from_one_to_the_next() -> None:
    event = publishing(PublishedCatalogues([published(FIRST)]), SECOND, at=NOON - HOUR)
    assert event is not None
    assert event.timestamp == NOON


def test_the_one_published_last_is_in_force() -> None:
    third = catalogue(5, news=True, digest=False)
    catalogues = PublishedCatalogues(
        [published(FIRST), published(SECOND, NOON + HOUR), published(third, NOON + 2 * HOUR)]
    )
    instant = timedelta(microseconds=1)
    for at, expected in (
        (NOON, FIRST),
        (NOON + HOUR - instant, FIRST),
        (NOON + HOUR, SECOND),
        (NOON + 2 * HOUR - instant, SECOND),
        (NOON + 2 * HOUR, third),
        (NOON + 1000 * HOUR, third),
    ):
        assert catalogues.in_force(at) == expected


def test_of_two_published_at_the_same_moment_the_later_one_is_in_force() -> None:
    assert PublishedCatalogues([published(FIRST), published(SECOND)]).in_force(NOON) == SECOND


def test_before_the_first_publishing_the_first_one_held() -> None:
    catalogues = PublishedCatalogues([published(FIRST), published(SECOND, NOON + HOUR)])
    assert catalogues.in_force(NOON - 1000 * HOUR) == FIRST


def test_without_any_none_was_ever_in_force() -> None:
    assert PublishedCatalogues([]).in_force(NOON) is None
    assert PublishedCatalogues([]).newest is None


@pytest.mark.parametrize(
    ("events", "finding"),
    [
        ([], "version 2 is not published: run `preferences migrate`"),
        ([published(FIRST)], "version 2 is not published: run `preferences migrate`"),
        ([published(FIRST), published(SECOND)], None),
        # While the next release is rolled out, this one still serves.
        ([published(SECOND), published(replace(FIRST, version=3))], None),
    ],
)
def test_a_release_is_told_whether_its_catalogue_is_published(events, finding: str | None) -> None:
    assert PublishedCatalogues(events).verdict(SECOND) == finding


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([published(FIRST)], False),
        ([published(FIRST), published(SECOND)], True),
        ([published(SECOND), published(replace(FIRST, version=3))], True),
        # It was left out: what would be decided with it couldn't be verified, though it is older than the newest.
        ([published(FIRST), published(replace(FIRST, version=3))], False),
        ([published(replace(FIRST, version=2))], False),
        # The first one holds from the beginning, and this will be it.
        ([], True),
    ],
)
def test_a_catalogue_was_held_once_it_is_published_with_this_content(events, held: bool) -> None:
    assert PublishedCatalogues(events).was_ever_in_force(SECOND) is held


def test_a_release_is_told_that_its_catalogue_was_published_with_other_content() -> None:
    finding = PublishedCatalogues([published(replace(FIRST, version=2))]).verdict(SECOND)
    assert finding is not None
    assert "version 2 was published on 2026-03-03 with other content" in finding


def test_our_own_catalogue_can_be_published() -> None:
    event = publishing(PublishedCatalogues([]), CATALOGUE)
    assert event is not None
    assert catalogue_of(event) == CATALOGUE


def test_all_that_any_catalogue_had_is_visible_if_it_ever_was() -> None:
    former = PublishedCatalogues(
        [published(catalogue(1, news=True, alerts=True)), published(catalogue(2, always=None))]
    )
    together = former.merged_with_history(catalogue(3, offers=False, alerts=None))
    [channel] = together.channels
    assert {toggle.name: toggle.mandatory for toggle in channel.toggles} == {
        "offers": False,
        "alerts": False,
        "news": False,
        "always": True,
    }
    assert channel.toggle("alerts") == Toggle("alerts", default=True)


# Words


def test_a_catalogue_without_words_is_stored_as_by_the_releases_that_knew_none() -> None:
    assert channels_of(WITHOUT_WORDS) == [
        {"name": "email", "toggles": [{"name": "news", "default": True, "mandatory": False}]}
    ]


def test_words_are_published_with_what_they_are_about() -> None:
    [channel] = channels_of(WORDED)
    [toggle] = channel["toggles"]
    assert (channel["title"], channel["description"]) == ("E-mail", "To your address.")
    assert (toggle["title"], toggle["description"]) == ("News", "What is new, once a month.")


REWORDED = Catalogue(2, (replace(WORDED.channels[0], words=Words("E-mail", "To another address.")),))


@pytest.mark.parametrize("wanted", [WITHOUT_WORDS, REWORDED])
def test_other_words_are_another_content_and_need_a_version_of_their_own(wanted: Catalogue) -> None:
    before = PublishedCatalogues([published(WORDED)])
    with pytest.raises(CatalogueRefused, match="with other content"):
        publishing(before, wanted)
    assert "with other content" in str(before.verdict(wanted))
    assert not before.was_ever_in_force(wanted)
    event = publishing(before, replace(wanted, version=3))
    assert event is not None
    assert catalogue_of(event).channels == wanted.channels
    # The control: the same words are the same content.
    assert publishing(before, WORDED) is None
    assert before.verdict(WORDED) is None


def test_a_release_with_words_never_equals_one_without() -> None:
    before = PublishedCatalogues([published(WITHOUT_WORDS)])
    assert before.was_ever_in_force(WITHOUT_WORDS)
    assert not before.was_ever_in_force(WORDED)
    with pytest.raises(CatalogueRefused, match="with other content"):
        publishing(before, WORDED)


def test_the_words_of_each_version_are_kept() -> None:
    catalogues = PublishedCatalogues([published(FIRST), published(WORDED), published(replace(REWORDED, version=3))])
    assert catalogues.words(2, "email", "news") == NEWS
    for version, toggle in ((1, "news"), (2, "tips"), (17, "news")):
        assert catalogues.words(version, "email", toggle) is None
