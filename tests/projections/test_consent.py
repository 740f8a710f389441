"""What a record of consent must show: one test for each element of it."""

from datetime import timedelta

import pytest

from domain.catalogue import Words
from domain.events import CataloguePublished
from domain.provenance import ERASED
from projections.consent import Consent, consents
from tests.support.events import ADA, NOON, opened, toggled

CATALOGUE = CataloguePublished(
    originator_id=ADA,
    originator_version=1,
    originator_topic="notification-preferences.catalogue",
    timestamp=NOON,
    event_id="01JTBQH2FZ8K1RXC0WJ4Z00000",
    channels=[{"name": "email", "toggles": [{"name": "product_updates", "default": True, "mandatory": False}]}],
    request_id="01JTBQH2FZ8K1RXC0WJ4Z00000",
    source="system",
    catalogue_version=1,
)
TITLE, DESCRIPTION = "Product updates", "What is new."
WORDED = CataloguePublished(
    **{
        **vars(CATALOGUE),
        "originator_version": 2,
        "catalogue_version": 2,
        "channels": [
            {
                "name": "email",
                "toggles": [
                    {
                        "name": "product_updates",
                        "title": TITLE,
                        "description": DESCRIPTION,
                        "default": True,
                        "mandatory": False,
                    }
                ],
            }
        ],
    }
)
YES, NO = True, False


def of(*events) -> list[Consent]:
    return consents([opened(), *events], [CATALOGUE, WORDED])


@pytest.fixture
def one() -> Consent:
    [consent] = of(toggled(2, "product_updates", NO, request_id="01JTBQH2FZ8K1RXC0WJ4ZREQST"))
    return consent


def test_who(one: Consent) -> None:
    assert one.user == "user_ada"


def test_when(one: Consent) -> None:
    assert one.occurred_at == NOON + timedelta(minutes=2)


def test_what(one: Consent) -> None:
    assert (one.path, one.enabled, one.version) == ("email.product_updates", NO, 2)


def test_how(one: Consent) -> None:
    assert (one.source, one.request_id) == ("dashboard", "01JTBQH2FZ8K1RXC0WJ4ZREQST")


def test_what_they_were_told(one: Consent) -> None:
    assert (one.catalogue_version, one.default) == (1, True)


def test_in_which_session(one: Consent) -> None:
    assert one.session == "sess_1"


def test_that_nobody_acted_in_their_name(one: Consent) -> None:
    assert (one.impersonated, one.impersonator) == (False, None)


def test_who_acted_in_their_name() -> None:
    actor = {"user": "user_ada", "session": "sess_1", "impersonator": "user_eve"}
    [consent] = of(toggled(2, "product_updates", YES, actor=actor, impersonated=True))
    assert (consent.user, consent.impersonated, consent.impersonator) == ("user_ada", True, "user_eve")


def test_that_somebody_acted_in_their_name_where_nobody_can_say_who() -> None:
    [consent] = of(toggled(2, "product_updates", YES, actor=ERASED, impersonated=True))
    assert (consent.user, consent.impersonated, consent.impersonator) == ("erased", True, None)


def test_that_it_still_holds(one: Consent) -> None:
    assert one.in_force


def test_that_and_when_it_was_withdrawn() -> None:
    given, withdrawn = of(toggled(2, "product_updates", YES), toggled(3, "product_updates", NO, previous=YES))
    assert (given.in_force, given.replaced_at) == (False, NOON + timedelta(minutes=3))
    assert withdrawn.in_force


def test_what_another_toggle_does_withdraws_nothing() -> None:
    given, _ = of(toggled(2, "product_updates", YES), toggled(3, "delivery_alerts", NO))
    assert given.in_force


def test_what_they_were_told_is_unknown_where_the_log_does_not_say() -> None:
    first, second = of(toggled(2, "product_updates", YES, catalogue_version=3), toggled(3, "delivery_alerts", YES))
    assert (first.default, second.default) == (None, None)
    assert (first.words, second.words) == (None, None)


def test_in_which_words_they_were_told() -> None:
    before, after = of(
        toggled(2, "product_updates", YES), toggled(3, "product_updates", NO, previous=YES, catalogue_version=2)
    )
    assert before.words is None
    assert after.words == Words(TITLE, DESCRIPTION)


def test_that_the_bearer_of_a_link_chose(one: Consent) -> None:
    assert not one.by_link
    [click] = of(toggled(2, "product_updates", NO, source="link", actor={"user": "user_ada"}))
    assert click.by_link
    assert (click.user, click.session) == ("user_ada", None)
