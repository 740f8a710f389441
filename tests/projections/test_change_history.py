from projections.change_history import HistoryEntry, entry
from projections.shown_actor import STAFF, Actor, ActorKind
from tests.support.events import toggled


def test_an_entry_says_what_changed_from_what_by_whom_from_where_and_when() -> None:
    event = toggled(2, "news", False, previous=True)
    assert entry(event) == HistoryEntry(
        id=event.event_id,
        version=2,
        occurred_at=event.timestamp,
        channel="email",
        toggle="news",
        enabled=False,
        previous=True,
        actor=Actor(ActorKind.CUSTOMER, "user_ada"),
        source="dashboard",
        request_id=event.request_id,
    )


def test_staff_who_act_in_a_users_name_appear_under_one_generic_label() -> None:
    event = toggled(2, "news", False, actor={"user": "user_ada", "impersonator": "user_grace"})
    assert entry(event).actor == STAFF
