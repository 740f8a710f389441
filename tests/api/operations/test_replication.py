"""What standbys have confirmed, as /metrics tells it where readers wait for them. With standbys: tests/end_to_end/test_unconfirmed_events.py."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from tests.support.events_client import EVENTS, events_key
from tests.support.server import PATH, Server
from tests.support.tokens import bearer


def told(server: Server) -> dict[str, float]:
    prefix = "preferences_replication_"
    lines = [line.split() for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line.startswith(prefix)]
    return {name.removeprefix(prefix): float(value) for name, value in lines}


def test_where_readers_wait_for_nobody_nothing_is_told(serve: Callable[..., Server]) -> None:
    assert told(serve()) == {}


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_without_a_standby_changes_are_taken_and_the_feed_says_that_it_can_not_tell(
    serve: Callable[..., Server], database_url: str, accept: str
) -> None:
    key = asyncio.run(events_key(database_url))
    server = serve(database_replication="synchronous")
    assert told(server) == {"standbys": 0, "standbys_wanted": 0}
    # An empty log has nothing that could vanish.
    assert httpx.get(f"{server.url}{EVENTS}", headers={**key, "Accept": accept}).status_code == 200
    # Here commits wait for nobody, so the change is acknowledged; and the feed keeps it to itself.
    assert httpx.patch(f"{server.url}{PATH}", json={}, headers=bearer("user_ada")).status_code == 200
    change = {"email": {"product_updates": False}}
    assert httpx.patch(f"{server.url}{PATH}", json=change, headers=bearer("user_ada")).status_code == 200
    response = httpx.get(f"{server.url}{EVENTS}", headers={**key, "Accept": accept})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "UNAVAILABLE")
    # To repeat the change promises what nobody can keep.
    assert httpx.patch(f"{server.url}{PATH}", json=change, headers=bearer("user_ada")).status_code == 503
