"""The two use cases on a store in memory."""

import itertools
from collections.abc import Iterator

import pytest

from application.preferences.preferences import Preferences
from tests.support.events import KEY
from tests.support.memory_store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ids() -> Iterator[str]:
    return (f"event-{n}" for n in itertools.count(1))


@pytest.fixture
async def preferences(store: MemoryStore, ids: Iterator[str]):
    service = Preferences(store, ids, lambda: KEY, resolve_for=0.2)
    yield service
    await service.close()
