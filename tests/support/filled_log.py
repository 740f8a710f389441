"""A log of events that no service decided: any events of any users, put into the table as they are stored."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from domain.events import Event
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.event_codec import encode
from tests.support.events import NOON, erased, opened, toggled

ORGANIZATIONS = ("org_math", "org_chess", None)
USERS = ("user_ada", "user_bob", "user_eve")
TOGGLES = ("product_updates", "delivery_alerts", "billing_receipts", "weekly_usage_digest")


def put(url: str, events: Sequence[Event]) -> None:
    """Append to the log, in this order."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7305114882901)")
        cursor.executemany(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
            [encode(event)[:4] for event in events],
        )


class Chance:
    """Events of several users and organizations, whose times neither go up nor differ always."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._versions: dict[UUID, int] = {}

    def events(self, count: int) -> list[Event]:
        return [self._event() for _ in range(count)]

    def _event(self) -> Event:
        organization, user = self.random.choice(ORGANIZATIONS), self.random.choice(USERS)
        stream = stream_id(organization, user)
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        actor = {"user": user, **({"impersonator": "user_staff"} if self.random.random() < 0.2 else {})}
        fields: dict[str, Any] = {
            "timestamp": NOON + timedelta(seconds=self.random.randrange(60)),
            "organization": organization,
            "source": self.random.choice([*Source]).value,
        }
        if version == 1:
            return opened(stream, actor=actor, **fields)
        if self.random.random() < 0.05:
            return erased(version, stream, **fields)
        previous = self.random.choice([None, True])
        enabled = self.random.choice([True, False])
        toggle = self.random.choice(TOGGLES)
        return toggled(version, toggle, enabled, stream, previous=previous, actor=actor, **fields)
