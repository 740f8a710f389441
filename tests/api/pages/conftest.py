from collections.abc import Callable

import pytest

from domain.preferences import stream_id
from tests.support.pages import chromium, dashboard, development

__all__ = ["chromium", "dashboard", "development"]


@pytest.fixture
def events_of(query) -> Callable[..., int]:
    """How many events a user has."""

    def count(user: str, organization: str | None = "org_math") -> int:
        [(number,)] = query(
            "SELECT count(*) FROM preferences_events WHERE originator_id = %s", [stream_id(organization, user)]
        )
        return number

    return count
