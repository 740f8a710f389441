"""A log of events that no service decided: any events of any users, put into the table as they are stored."""

import random
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg

from application.following import Following, Step
from domain.events import Event
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.audit.index import AuditIndexer
from infrastructure.followers.journal import PostgresJournal
from infrastructure.log.event_codec import encode
from tests.support.events import NOON, erased, opened, toggled

ORGANIZATIONS = ("org_math", "org_chess", None)
USERS = ("user_ada", "user_bob", "user_eve")
TOGGLES = ("product_updates", "delivery_alerts", "billing_receipts", "weekly_usage_digest")


def put(url: str, events: Sequence[Event]) -> None:
    """Append to the log, in this order, sealed."""
    stored = [encode(event, key_of(event.originator_id)) for event in events]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7305114882901)")
        cursor.executemany(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state, sealed_actor) "
            "VALUES (%s, %s, %s, %s, %s)",
            stored,
        )
        cursor.executemany(
            "INSERT INTO person_keys VALUES (%s, 1, %s) ON CONFLICT DO NOTHING",
            [(event.originator_id, key_of(event.originator_id)) for event in events],
        )


def key_of(stream: UUID) -> bytes:
    """No secret, but a key of its own for each stream."""
    return sha256(stream.bytes).digest()


def forget(url: str, stream: UUID) -> None:
    """Destroy the key, as erasure does."""
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM person_keys WHERE originator_id = %s", [stream])


class Chance:
    """Events of several users and organizations, whose times neither go up nor differ always. `seconds`: within how many they happen."""

    def __init__(self, seed: int, *, seconds: int = 60) -> None:
        self.random = random.Random(seed)
        self._seconds = seconds
        self._versions: dict[UUID, int] = {}

    def events(self, count: int) -> list[Event]:
        return [self._event() for _ in range(count)]

    def _event(self) -> Event:
        organization, user = self.random.choice(ORGANIZATIONS), self.random.choice(USERS)
        stream = stream_id(organization, user)
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        actor = {"user": user, **({"impersonator": "user_staff"} if self.random.random() < 0.2 else {})}
        fields: dict[str, Any] = {
            "timestamp": NOON + timedelta(seconds=self.random.randrange(self._seconds)),
            "organization": organization,
            "source": self.random.choice([*Source]).value,
        }
        if version > 1 and self.random.random() < 0.05:
            return erased(version, stream, **fields)
        fields |= {"actor": actor, "impersonated": "impersonator" in actor}
        if version == 1:
            return opened(stream, **fields)
        previous = self.random.choice([None, True])
        enabled = self.random.choice([True, False])
        toggle = self.random.choice(TOGGLES)
        return toggled(version, toggle, enabled, stream, previous=previous, **fields)


async def take_in(url: str, follower: AuditIndexer | None = None, *, batch: int = 1000) -> None:
    """Let the index of the audit log follow to the end of the log, beside whoever does so already."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        journal = PostgresJournal(connection, AuditIndexer.name)
        await journal.register()
        following = Following(follower or AuditIndexer(), journal, largest=batch)
        while (step := await following.step()) is Step.ON:
            pass
        assert step is Step.CAUGHT_UP


def fill(url: str, count: int) -> None:
    """A log of so many choices of one user in `org_math`, and its index, in no time."""
    template = encode(toggled(1, "product_updates", False, event_id="01JTBQH2G1T3ZC5X8E9V@@@@@@"))
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
            "SELECT %s, n, %s, convert_to(replace(%s, '@@@@@@', lpad(n::text, 6, '0')), 'UTF8') "
            "FROM generate_series(1, %s) n",
            [template.originator_id, template.topic, template.state.decode(), count],
        )
        connection.execute(
            "INSERT INTO audit_classes (organization, action, channel, toggle, enabled, source, actor_kind) VALUES "
            "('org_math', 'notification_preferences.toggle', 'email', 'product_updates', false, 'dashboard', 'customer')"
        )
        connection.execute(
            "INSERT INTO audit_entries (position, occurred_at, originator_id, class) "
            "SELECT notification_id, %s, originator_id, (SELECT class FROM audit_classes) FROM preferences_events",
            [NOON + timedelta(minutes=1)],
        )
        connection.execute(
            "INSERT INTO followers (name, position) SELECT 'audit-index', max(notification_id) FROM preferences_events "
            "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
        )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE audit_entries, preferences_events")
