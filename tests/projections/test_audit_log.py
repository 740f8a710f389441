import pytest

from domain.provenance import ERASED, Source
from projections.audit_log import Action, AuditEntry, Choice, audit_entry
from projections.shown_actor import BEARER, STAFF, Actor, ActorKind, named_actor
from tests.support.events import erased, toggled

STAFF_AS_ADA = {"user": "user_ada", "impersonator": "user_grace"}


def test_an_entry_says_who_did_what_to_whom_when_and_what_was_before() -> None:
    event = toggled(2, "news", False, previous=True)
    assert audit_entry(event) == AuditEntry(
        id=event.event_id,
        occurred_at=event.timestamp,
        actor=Actor(ActorKind.CUSTOMER, "user_ada"),
        action=Action.TOGGLE,
        user="user_ada",
        source="dashboard",
        request_id=event.request_id,
        before=Choice("email", "news", True),
        after=Choice("email", "news", False),
    )


def test_before_the_first_choice_there_was_none() -> None:
    assert audit_entry(toggled(2, "news", True)).before == Choice("email", "news", None)


def test_staff_appear_under_one_generic_label_and_the_user_as_the_resource() -> None:
    entry = audit_entry(toggled(2, "news", False, actor=STAFF_AS_ADA))
    assert (entry.actor, entry.user) == (STAFF, "user_ada")


def test_erasure_is_an_entry_of_the_platform_about_nobody_in_particular() -> None:
    event = erased(3)
    assert audit_entry(event) == AuditEntry(
        id=event.event_id,
        occurred_at=event.timestamp,
        actor=STAFF,
        action=Action.ERASE,
        user="erased",
        source="admin",
        request_id=event.request_id,
        before=None,
        after=None,
    )


@pytest.mark.parametrize("source", [Source.ONE_CLICK, Source.LINK])
def test_the_bearer_of_a_link_is_not_said_to_be_the_user(source: Source) -> None:
    click = toggled(2, "news", False, source=source.value, actor={"user": "user_ada"})
    assert (audit_entry(click).actor, audit_entry(click).user) == (BEARER, "user_ada")
    # After an erasure the entry still says how the choice was made,
    erased_since = toggled(2, "news", False, source=source.value, actor=ERASED)
    assert (audit_entry(erased_since).actor, audit_entry(erased_since).user) == (BEARER, "erased")
    # and staff are staff, whatever they say of themselves.
    by_staff = toggled(2, "news", False, source=source.value, actor=STAFF_AS_ADA)
    assert audit_entry(by_staff).actor == STAFF


def test_an_operator_sees_whose_link_it_was_and_which_employee_acted() -> None:
    assert named_actor(toggled(2, "news", False)) == "user_ada"
    assert named_actor(toggled(2, "news", False, actor=STAFF_AS_ADA)) == "user_grace"
    click = toggled(2, "news", False, source="one_click", actor={"user": "user_ada"})
    assert named_actor(click) == "unsubscribe link of user_ada"
