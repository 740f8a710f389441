"""Whose an event is decides the event itself, whatever has led to it."""

from pathlib import Path
from typing import get_args

import pytest

from domain.errors import ForeignEvent
from domain.events import Event, PreferencesEvent
from domain.isolation import OF_USERS, PLATFORM, Audience
from domain.preferences import stream_id
from domain.provenance import ERASED, UNREADABLE
from tests.support.events import ADA, BOB, catalogue_published, erased, opened, toggled

MATH = Audience.of_organization("org_math", "the index")
CHESS = Audience.of_organization("org_chess", "the index")
ADA_HERSELF = Audience.of_user("org_math", "user_ada", "the stream")
EVE = stream_id("org_math", "user_eve")


@pytest.mark.parametrize("event", [opened(), toggled(2, "news", True), erased(3)], ids=repr)
def test_an_event_of_a_user_is_shown_to_its_organization_its_user_and_the_platform(event) -> None:
    assert MATH.clear(event) is ADA_HERSELF.clear(event) is PLATFORM.clear(event) is event
    with pytest.raises(ForeignEvent):
        CHESS.clear(event)


def test_the_log_learns_what_was_held_back_and_the_client_nothing() -> None:
    with pytest.raises(ForeignEvent) as refused:
        CHESS.clear(opened(), 17)
    assert refused.value.reason == (
        f"the index has an event of another organization: position 17 (version 1 of stream {ADA}) is of org_math, "
        "and was read for org_chess"
    )
    assert (refused.value.code, refused.value.message, refused.value.details) == ("INTERNAL", "internal error", {})


def test_users_without_an_organization_are_a_scope_of_their_own() -> None:
    event = toggled(2, "news", True, BOB)
    assert Audience.of_user(None, "user_bob", "the stream").clear(event) is event
    for audience in (MATH, Audience.of_user(None, "user_eve", "the stream")):
        with pytest.raises(ForeignEvent):
            audience.clear(event)


def test_one_users_answer_has_nothing_of_another_user_of_the_organization() -> None:
    event = toggled(2, "news", True, EVE, organization="org_math", actor={"user": "user_eve"})
    assert MATH.clear(event) is event
    with pytest.raises(ForeignEvent, match="the stream has an event of another user"):
        ADA_HERSELF.clear(event)


@pytest.mark.parametrize("event", [opened(EVE), toggled(2, "news", True, EVE)], ids=repr)
def test_an_event_that_stands_in_another_users_stream_is_nobodys(event) -> None:
    event = type(event)(**{**vars(event), "organization": "org_math", "actor": {"user": "user_ada"}})
    with pytest.raises(ForeignEvent, match="an event of another stream"):
        MATH.clear(event)


@pytest.mark.parametrize("actor", [ERASED, UNREADABLE])
def test_an_event_whose_actor_is_erased_or_unreadable_is_shown(actor) -> None:
    event = toggled(2, "news", True, EVE, organization="org_math", actor=actor)
    assert MATH.clear(event) is event


def test_what_belongs_to_no_user_is_everybodys() -> None:
    event = catalogue_published()
    assert MATH.clear(event) is CHESS.clear(event) is ADA_HERSELF.clear(event) is event


def test_every_kind_of_event_that_names_an_organization_belongs_to_a_user() -> None:
    # An event type that is added later must not become everybody's by being forgotten.
    assert {kind for kind in get_args(Event) if "organization" in kind.__annotations__} == OF_USERS
    assert {*get_args(PreferencesEvent)} == OF_USERS


def test_only_the_check_says_that_an_event_may_be_shown() -> None:
    house = Path(__file__).parents[2]
    for folder in ("domain", "projections", "application", "infrastructure", "api"):
        for file in (house / folder).rglob("*.py"):
            text = file.read_text()
            for forged in (
                "ShownOpened(",
                "ShownToggled(",
                "ShownErased(",
                "ShownCatalogue(",
                'cast("Shown',
                "Cleared(",
            ):
                allowed = forged == "Cleared(" and file == house / "application" / "log.py"
                assert allowed or forged not in text, (file, forged)
