from projections.audit_log import Action, AuditEntry, Choice, audit_entry
from projections.shown_actor import STAFF, Actor, ActorKind
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
