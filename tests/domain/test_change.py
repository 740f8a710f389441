from typing import Any

import pytest

from domain.catalogue import CATALOGUE
from domain.change import requested_choices
from domain.errors import ImmutableNotificationKey, RefusedChange, UnknownNotificationKey, ValidationFailed


def test_a_partial_asks_for_what_it_names_and_for_nothing_else() -> None:
    document = {"email": {"product_updates": False, "weekly_usage_digest": True}}
    assert requested_choices(document, CATALOGUE) == {"email.product_updates": False, "email.weekly_usage_digest": True}


@pytest.mark.parametrize("document", [{}, {"email": {}}])
def test_an_empty_partial_asks_for_nothing(document: Any) -> None:
    assert requested_choices(document, CATALOGUE) == {}


@pytest.mark.parametrize(
    ("document", "kind", "details"),
    [
        ({"fax": {"x": True}}, UnknownNotificationKey, {"fax": "unknown channel"}),
        ({"fax": None}, UnknownNotificationKey, {"fax": "unknown channel"}),
        ({"email": {"news": 1}}, UnknownNotificationKey, {"email.news": "unknown toggle"}),
        ({"email": {"security_alerts": {}}}, ImmutableNotificationKey, {"email.security_alerts": "cannot be changed"}),
        ({"email": {"product_updates": 1.0}}, ValidationFailed, {"email.product_updates": "must be a boolean"}),
        ({"email": None}, ValidationFailed, {"email": "must be an object"}),
        (["email"], ValidationFailed, {"body": "must be an object"}),
        (
            {"email": {"product_updates": None, "security_alerts": True}},
            ImmutableNotificationKey,
            {"email.product_updates": "must be a boolean", "email.security_alerts": "cannot be changed"},
        ),
        (
            {"email": {"security_alerts": True}, "fax": 1},
            UnknownNotificationKey,
            {"email.security_alerts": "cannot be changed", "fax": "unknown channel"},
        ),
    ],
)
def test_every_fault_is_told_and_the_first_kind_names_the_error(
    document: Any, kind: type[RefusedChange], details: dict[str, str]
) -> None:
    with pytest.raises(kind) as refused:
        requested_choices(document, CATALOGUE)
    assert refused.value.details == details
