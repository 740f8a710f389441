"""Changes for the store in memory, and what can happen to them on the way to the log."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from application.preferences.draft import Draft
from application.preferences.state import Change, State
from application.preferences.store import Append
from domain.events import NotificationToggled
from domain.preferences import stream_id
from domain.provenance import Provenance, Source
from tests.support.events import KEY
from tests.support.memory_store import MemoryStore, Mishap

ADA, BOB, EVE = (stream_id("org_math", f"user_{name}") for name in ("ada", "bob", "eve"))
DIGEST, NEWS = "email.weekly_usage_digest", "email.product_updates"
_REQUESTS = itertools.count(1)


def change(stream=ADA, precondition: Callable[[State], bool] | None = None, **toggles: bool) -> Change:
    paths = {"digest": DIGEST, "news": NEWS}
    provenance = Provenance(
        {"user": "user_ada"},
        "org_math",
        Source.DASHBOARD,
        f"request-{next(_REQUESTS)}",
        datetime(2026, 3, 3, tzinfo=UTC),
        1,
    )
    return Change(stream, {paths[name]: enabled for name, enabled in toggles.items()}, provenance, precondition)


def toggles(store: MemoryStore) -> list[tuple[str, bool]]:
    return [(event.path, event.enabled) for event in store.log if isinstance(event, NotificationToggled)]


class Raise(Mishap):
    def __init__(self, error: Exception, *, after: bool = False) -> None:
        self.error, self.late = error, after

    def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
        if not self.late:
            raise self.error

    def after(self, store: MemoryStore, appends: Sequence[Append]) -> None:
        raise self.error


class SomebodyElse(Mishap):
    """Another process appends first, and the append that follows finds the stream moved on."""

    def __init__(self, *changes: Change) -> None:
        self.changes = changes

    def before(self, store: MemoryStore, appends: Sequence[Append]) -> None:
        record(store, *self.changes)


def record(store: MemoryStore, *changes: Change) -> None:
    for one in changes:
        draft = Draft(one.stream, store.rows.get(one.stream))
        draft.decide(one, (f"other-{n}" for n in itertools.count(len(store.log))))
        append = draft.to_append(lambda: KEY)
        store.log.extend(append.events)
        store.rows[one.stream] = append.row
