from projections.audit_log import OPEN, Action, AuditEntry, Choice, EventClass, IndexRow, audit_entry, index_row
from projections.shown_actor import STAFF, Actor, ActorKind
from tests.support.events import ADA, BOB, catalogue_published, continued, erased, opened, toggled

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


def test_a_choice_is_found_by_all_that_can_be_asked_for() -> None:
    event = toggled(2, "news", False)
    of = EventClass("org_math", Action.TOGGLE, "email", "news", False, "dashboard", ActorKind.CUSTOMER)
    assert index_row(event) == IndexRow(of, event.timestamp, ADA)


def test_staff_are_told_from_customers_also_where_who_it_was_is_erased() -> None:
    for event in (
        toggled(2, "news", False, actor=STAFF_AS_ADA),
        toggled(2, "news", False, actor={"user": "erased"}, impersonated=True),
    ):
        row = index_row(event)
        assert row is not None
        assert row.of.actor_kind is ActorKind.PLATFORM


def test_the_other_events_of_a_user_are_found_by_their_action() -> None:
    for event, action, kind in (
        (opened(), OPEN, ActorKind.CUSTOMER),
        (opened(actor=STAFF_AS_ADA), OPEN, ActorKind.PLATFORM),
        (erased(3), Action.ERASE, ActorKind.PLATFORM),
    ):
        of = EventClass("org_math", action, None, None, None, event.source, kind)
        assert index_row(event) == IndexRow(of, event.timestamp, ADA)


def test_what_belongs_to_no_organization_is_in_nobodys_audit_log() -> None:
    for event in (opened(BOB), toggled(2, "news", True, BOB), erased(3, BOB), catalogue_published(), continued(406)):
        assert index_row(event) is None


def test_nothing_personal_is_in_the_index() -> None:
    assert "user_ada" not in repr(index_row(toggled(2, "news", False)))
    assert "sess_1" not in repr(index_row(toggled(2, "news", False)))
