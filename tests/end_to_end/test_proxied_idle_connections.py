"""Connections that the proxies of docs/proxies.md keep to the service: a change finds none that the service is just closing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support import proxies
from tests.support.distant import Distant
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

KEPT = 2
"""Seconds for which the service keeps an idle connection. It looks at its connections every second."""
IDLE = 4.5
SOONER = {
    proxies.nginx: {"keepalive_timeout 60s": "keepalive_timeout 1s"},
    proxies.haproxy: {"timeout http-keep-alive 60s": "timeout http-keep-alive 1s"},
    proxies.apache: {"ttl=60": "ttl=1"},
    proxies.balancer: {"timeout http-keep-alive 60s": "timeout http-keep-alive 1s"},
}
"""The setting of each box, in proportion to `KEPT`."""
NO_ANSWER = 0
CHANGES = [{"email": {"weekly_usage_digest": True}}, {"email": {"weekly_usage_digest": False}}] * 2

each_box = pytest.mark.parametrize(("proxy", "prefix"), proxies.BOXES, ids=lambda of: getattr(of, "__name__", ""))


@pytest.fixture
def hasty(serve, server: Server) -> Server:
    return serve(database_url=server.database_url, keep_alive=KEPT)


@asynccontextmanager
async def behind(
    proxy, prefix: str, way: Distant, caller: dict[str, str], changed: Mapping[str, str]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps its connection for as long as the proxy does."""
    with proxy(way.host, changed=changed) as address:
        async with httpx.AsyncClient(
            base_url=address + prefix,
            headers=caller,
            verify=False,
            limits=httpx.Limits(keepalive_expiry=None),
            timeout=10,
        ) as client:
            yield client


async def change(client: httpx.AsyncClient, body: dict[str, dict[str, bool]]) -> int:
    """The status, or `NO_ANSWER`."""
    try:
        return (await client.patch(PATH, json=body)).status_code
    except httpx.RemoteProtocolError:
        return NO_ANSWER


@each_box
async def test_a_change_after_an_idle_time_is_made_over_another_connection(
    hasty, fresh_user, proxy, prefix: str
) -> None:
    async with (
        Distant(hasty.url.removeprefix("http://")) as way,
        behind(proxy, prefix, way, bearer(fresh_user()), SOONER[proxy]) as client,
    ):
        # Given a proxy that uses its connections again,
        assert [await change(client, body) for body in CHANGES] == [200] * 4
        assert len(before := {*way.changes}) < len(CHANGES)
        # when a change comes after the service has closed them,
        await asyncio.sleep(IDLE)
        # then the proxy has closed them before.
        assert await change(client, CHANGES[0]) == 200
        assert way.changes[-1] not in before


@each_box
async def test_a_change_is_lost_on_a_connection_that_the_proxy_keeps_for_longer_than_the_service(
    hasty, fresh_user, proxy, prefix: str
) -> None:
    """The negative control: the boxes fit `KEEP_ALIVE=75`, and not this service."""
    caller = bearer(fresh_user())
    async with (
        Distant(hasty.url.removeprefix("http://")) as way,
        behind(proxy, prefix, way, caller, proxies.NOTHING) as client,
        httpx.AsyncClient(base_url=hasty.url, headers=caller) as direct,
    ):
        assert [await change(client, body) for body in CHANGES] == [200] * 4
        before = (await direct.get(PATH)).headers["etag"]
        await asyncio.sleep(IDLE)
        # nginx answers 502, and the others close the client's connection without an answer.
        assert await change(client, CHANGES[0]) == (502 if proxy is proxies.nginx else NO_ANSWER)
        assert way.changes[-1] in way.changes[:-1]
        assert (await direct.get(PATH)).headers["etag"] == before
