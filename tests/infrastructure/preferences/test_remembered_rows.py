"""What a process remembers of a row never becomes evidence, when the row was wrong."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from ulid_transform import ulid_now

from application.preferences.preferences import Preferences
from application.preferences.state import Change
from domain.preferences import stream_id
from domain.provenance import Provenance, Source
from infrastructure.log.sealing import new_key
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.patient_database import patient_database
from tests.support.positions import execute

ADA = stream_id("org_math", "user_ada")
NEWS = "email.product_updates"
DAMAGED = "UPDATE current_preferences SET choices = jsonb_set(choices, '{email.product_updates}', 'false')"
MENDED = "UPDATE current_preferences SET choices = jsonb_set(choices, '{email.product_updates}', 'true')"


def change(**choices: bool) -> Change:
    actor = {"user": "user_ada", "session": "sess_1"}
    provenance = Provenance(actor, "org_math", Source.DASHBOARD, ulid_now(), datetime.now(UTC), 1)
    return Change(ADA, {f"email.{name}": enabled for name, enabled in choices.items()}, provenance)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresPreferencesStore]:
    async with patient_database(database_url) as database:
        yield PostgresPreferencesStore(database)


async def test_a_row_that_was_wrong_when_it_was_read_and_is_right_by_now_decides_nothing(
    store: PostgresPreferencesStore, database_url: str
) -> None:
    preferences = Preferences(store, iter(ulid_now, None), new_key)
    # Given a choice, whose row was damaged when the process saw it, and was made anew from the log since
    await preferences.change(change(product_updates=True))
    execute(database_url, DAMAGED)
    assert (await preferences.read(ADA)).choices == {NEWS: False}
    execute(database_url, MENDED)
    # when the same choice is made once more, together with another one
    state = await preferences.change(change(product_updates=True, delivery_alerts=False))
    # then the answer is what the log says,
    assert state.choices == {NEWS: True, "email.delivery_alerts": False}
    # and the repeated choice is not recorded, as if it had replaced another one.
    recorded = [(event.path, event.enabled, event.previous) for event in await store.changes(ADA, up_to=None, limit=9)]
    assert recorded == [("email.delivery_alerts", False, None), (NEWS, True, None)]
    await preferences.close()
