"""What can be asked of the send decision, and what is refused with every fault listed."""

from typing import Any

import pytest

from domain.catalogue import CATALOGUE
from domain.errors import RefusedChange, UnknownNotificationKey, ValidationFailed
from domain.send_question import MAX_USERS, NAME_PHRASE, SendQuestion, send_question

GOOD: dict[str, Any] = {"channel": "email", "toggle": "product_updates", "users": ["user_ada"]}


def ask(document: object, organization: str | None = "org_math") -> SendQuestion:
    return send_question(document, CATALOGUE, organization)


def refused(document: object, organization: str | None = "org_math") -> tuple[type[RefusedChange], dict[str, str]]:
    with pytest.raises(RefusedChange) as refusal:
        ask(document, organization)
    return refusal.type, dict(refusal.value.details)


def test_a_question_is_of_the_callers_organization() -> None:
    question = ask(GOOD)
    assert question[:2] == ("org_math", "email")
    assert (question.path, question.users) == ("email.product_updates", ["user_ada"])
    assert ask({**GOOD, "organization": "org_math"}) == question


def test_who_is_named_twice_is_asked_about_twice_and_the_order_stays() -> None:
    users = ["user_bob", "user_ada", "user_bob"]
    assert ask({**GOOD, "users": users}).users == users


def test_what_nobody_can_change_can_be_asked_about() -> None:
    assert ask({**GOOD, "toggle": "security_alerts"}).toggle.mandatory


def test_links_are_made_for_who_asks_for_them() -> None:
    assert [ask(GOOD | given).unsubscribe for given in ({}, {"unsubscribe": False}, {"unsubscribe": True})] == [
        False,
        False,
        True,
    ]
    for value in ("true", 1.0, None, []):
        assert refused({**GOOD, "unsubscribe": value}) == (ValidationFailed, {"unsubscribe": "must be a boolean"})


def test_ten_thousand_users_are_the_most() -> None:
    assert len(ask({**GOOD, "users": ["user_ada"] * MAX_USERS}).users) == 10_000
    for users in ([], ["user_ada"] * (MAX_USERS + 1), [None] * (MAX_USERS + 1)):
        assert refused({**GOOD, "users": users}) == (ValidationFailed, {"users": "must have 1 to 10000 entries"})


def test_the_platform_names_the_organization_and_null_is_none() -> None:
    assert ask({**GOOD, "organization": "org_chess"}, None).organization == "org_chess"
    assert ask({**GOOD, "organization": None}, None).organization is None
    for document, phrase in (
        (GOOD, "is required of a key of the platform"),
        ({**GOOD, "organization": 1.0}, "must be a string or null"),
        ({**GOOD, "organization": ""}, NAME_PHRASE),
    ):
        assert refused(document, None) == (ValidationFailed, {"organization": phrase})


@pytest.mark.parametrize("other", ["org_chess", "", None, 1.0, ["org_math"]])
def test_nobody_else_names_another_organization(other: object) -> None:
    assert refused({**GOOD, "organization": other}) == (ValidationFailed, {"organization": "must be your own"})


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"channel": "sms"}, {"channel": "unknown channel"}),
        ({"channel": "sms", "toggle": "nothing"}, {"channel": "unknown channel"}),
        ({"channel": ""}, {"channel": "unknown channel"}),
        ({"toggle": "product_news"}, {"toggle": "unknown toggle"}),
        ({"toggle": ""}, {"toggle": "unknown toggle"}),
        ({"toggle": "\ud800", "users": [1.0]}, {"toggle": "unknown toggle", "users.0": "must be a string"}),
    ],
)
def test_what_is_not_in_the_catalogue_is_unknown_whatever_else_is_wrong(change: Any, details: dict[str, str]) -> None:
    assert refused({**GOOD, **change}) == (UnknownNotificationKey, details)


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"channel": None}, {"channel": "must be a string"}),
        ({"toggle": ["product_updates"]}, {"toggle": "must be a string"}),
        ({"channel": 1.0, "toggle": 1.0}, {"channel": "must be a string", "toggle": "must be a string"}),
        ({"users": "user_ada"}, {"users": "must be a list"}),
        ({"users": {"user_ada": True}}, {"users": "must be a list"}),
        ({"users": ["user_ada", None, 1.0]}, {"users.1": "must be a string", "users.2": "must be a string"}),
        ({"users": ["", "x" * 256]}, {"users.0": NAME_PHRASE, "users.1": NAME_PHRASE}),
        (
            {"users": ["user ada", "user_\u00e4da", "user_\ud800", "user_ada\n"]},
            {f"users.{n}": NAME_PHRASE for n in range(4)},
        ),
        ({"extra": 1.0, "more": None}, {"extra": "unknown field", "more": "unknown field"}),
    ],
)
def test_every_wrong_value_is_named(change: Any, details: dict[str, str]) -> None:
    assert refused({**GOOD, **change}) == (ValidationFailed, details)


def test_what_is_missing_is_named() -> None:
    assert refused({}) == (ValidationFailed, dict.fromkeys(("channel", "toggle", "users"), "is required"))
    assert refused({"channel": "email"}) == (ValidationFailed, dict.fromkeys(("toggle", "users"), "is required"))
    assert refused({"toggle": "product_updates", "users": ["a"]}) == (ValidationFailed, {"channel": "is required"})


@pytest.mark.parametrize("document", [None, [], "x", 1.0, True])
def test_what_is_no_object_is_no_question(document: object) -> None:
    assert refused(document) == (ValidationFailed, {"body": "must be an object"})
