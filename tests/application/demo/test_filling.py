"""Making the made-up year happen: in the log's order, and only where nobody else writes."""

from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from application.audit.log import READ
from application.demo.acts import Choose, Erase, Look, Publish, Sign
from application.demo.filling import AT_ONCE, DemoRefused, Filling
from domain.catalogue import CATALOGUE
from domain.provenance import Source
from domain.published_catalogues import PublishedCatalogues
from tests.support.audit import MemoryAuditReads
from tests.support.events import KEY, NOON
from tests.support.memory_store import MemoryStore

SECOND = timedelta(seconds=1)


class Erasures:
    """Of people who have no key: there is nothing to erase."""

    def __init__(self) -> None:
        self.attempts = 0

    @asynccontextmanager
    async def attempt(self) -> Any:
        self.attempts += 1
        yield self

    async def count_unsealed_events(self, _: Any) -> int:
        return 0

    async def erase_from_readings(self, _: Any) -> int:
        return 0

    async def destroy_key(self, _: Any) -> bool:
        return False


class Catalogues:
    def __init__(self) -> None:
        self.events: list[Any] = []

    async def published(self) -> PublishedCatalogues:
        return PublishedCatalogues(self.events)

    async def append(self, event: Any, **_: Any) -> bool:
        self.events.append(event)
        return True


class SomebodyElses(MemoryStore):
    """Another process has appended to each stream before."""

    async def append(self, appends: Any) -> Any:
        return await super().append(appends[1:])


def filling(
    store: MemoryStore,
    catalogues: Catalogues,
    erasures: Erasures,
    signed: list[Any],
    reads: MemoryAuditReads | None = None,
) -> Filling:
    ids = (f"{number:026}" for number in count())
    reads = reads or MemoryAuditReads()
    return Filling(store, catalogues, erasures, reads, lambda _: next(ids), lambda: KEY, signed.append)


def choice(second: int, user: str, enabled: bool, **fields: Any) -> Choose:
    return Choose(NOON + second * SECOND, "org_demo", user, {"email.product_updates": enabled},
                  fields.get("source", Source.DASHBOARD), fields.get("support"))  # fmt: skip


async def test_the_log_has_the_acts_in_their_order_each_as_it_was(monkeypatch) -> None:
    store, catalogues, erasures = MemoryStore(), Catalogues(), Erasures()
    signed: list[tuple[Any, int]] = []
    acts = [
        Publish(NOON, CATALOGUE),
        choice(1, "user_ada", True),
        choice(2, "user_bob", False, source=Source.ONE_CLICK),
        choice(3, "user_ada", True),
        choice(4, "user_ada", False, support="user_staff"),
        Sign(NOON + 5 * SECOND),
        Erase(NOON + 6 * SECOND, "org_demo", "user_eve"),
        Look(NOON + 7 * SECOND, "org_demo", "user_officer", READ, {"limit": 50}, 3),
        *(choice(10 + number, f"user_{number}", True) for number in range(AT_ONCE + 1)),
    ]
    told: list[tuple[int, int]] = []
    reads = MemoryAuditReads()
    year = filling(store, catalogues, erasures, [], reads)
    year._sign = lambda at: signed.append((at, len(store.log)))
    await year.run(acts, lambda done, total: told.append((done, total)))
    # Then all events are in the order of their times,
    assert [event.timestamp for event in store.log] == sorted(event.timestamp for event in store.log)
    chosen = [event for event in store.log if event.TOPIC.endswith("toggled")]
    assert [(event.timestamp - NOON) // SECOND for event in chosen[:3]] == [1, 2, 4], "what is chosen again is no event"
    # each says from where it came and who acted,
    ada, bob, by_support = (event.actor for event in chosen[:3])
    assert ada.keys() == {"user", "session"}
    assert bob == {"user": "user_bob"}
    assert (by_support["user"], by_support["impersonator"]) == ("user_ada", "user_staff")
    # what comes between is done when all before it is in the log,
    assert signed == [(NOON + 5 * SECOND, 5)]
    assert (len(catalogues.events), erasures.attempts) == (1, 1)
    [(reading, outcome)] = reads.readings.values()
    assert (reading.at, reading.reader.label, reading.action) == (NOON + 7 * SECOND, "user:user_officer", READ)
    assert outcome == (3, "complete")
    # and it is told how far it is.
    assert year.events == len(store.log) + 1
    assert told[-1] == (len(acts), len(acts))
    assert len(told) >= 3


async def test_where_another_process_writes_it_stops() -> None:
    year = filling(SomebodyElses(), Catalogues(), Erasures(), [])
    with pytest.raises(DemoRefused, match="another process writes to this database: stop it first"):
        await year.run([choice(1, "user_ada", True)], lambda *_: None)
