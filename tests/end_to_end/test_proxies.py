"""The service behind real proxies, configured as docs/proxies.md says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import expect

from tests.support import proxies
from tests.support.browser import page
from tests.support.server import PATH
from tests.support.tokens import bearer

Proxy = Callable[[str], AbstractContextManager[str]]
ON, OFF = b'{"email": {"weekly_usage_digest": true}}', b'{"email": {"weekly_usage_digest": false}}'

all_of_them = pytest.mark.parametrize(
    "proxy", [proxies.nginx, proxies.haproxy, proxies.apache], ids=lambda proxy: proxy.__name__
)


@asynccontextmanager
async def behind(proxy: Proxy, upstream: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the service through the proxy."""
    with proxy(upstream.removeprefix("http://")) as address:
        async with httpx.AsyncClient(base_url=f"{address}/prefs", verify=False, timeout=10) as client:
            yield client


@all_of_them
async def test_a_compressed_answer_still_names_the_state(server, fresh_user, proxy) -> None:
    headers = bearer(fresh_user())
    async with behind(proxy, server.url) as client:
        # Given an answer that the proxy has compressed, and whose tag it has changed
        read = await client.get(PATH, headers=headers)
        assert read.headers["content-encoding"] == "gzip"
        tag = read.headers["etag"]
        own = (await asyncio.to_thread(httpx.get, server.url + PATH, headers=headers)).headers["etag"]
        assert tag != own
        # when the client asks again with that tag, then nothing has changed,
        assert (await client.get(PATH, headers={**headers, "If-None-Match": tag})).status_code == 304
        # and a change of just that state is made, once.
        changed = await client.patch(PATH, content=ON, headers={**headers, "If-Match": tag})
        assert changed.status_code == 200
        stale = await client.patch(PATH, content=OFF, headers={**headers, "If-Match": tag})
        assert stale.status_code == 412
        # And so on with the tag of that answer.
        again = await client.patch(PATH, content=OFF, headers={**headers, "If-Match": changed.headers["etag"]})
        assert again.status_code == 200


@all_of_them
async def test_a_user_whose_id_has_a_slash_can_be_asked_about(server, fresh_user, proxy) -> None:
    user = f"{fresh_user()}/b"
    async with behind(proxy, server.url) as client:
        await client.patch(PATH, content=ON, headers=bearer(user))
        for path in ("notifications", "notifications/history"):
            url = f"/v1/users/{quote(user, safe='')}/{path}"
            answer = await client.get(url, headers=bearer("user_grace", role="admin"))
            assert (answer.status_code, user in answer.text) == (200, True)


async def test_the_documentation_works_under_a_prefix_that_the_proxy_takes_away(server) -> None:
    # Given the documentation in a browser, behind a proxy that serves it under /prefs
    with proxies.nginx(server.url.removeprefix("http://")) as address:
        async with page(f"{address}/prefs/docs") as docs:
            # when an operation is tried out,
            operation = docs.locator("#operations-Preferences-getMyNotificationPreferences")
            await operation.locator(".opblock-summary-control").click()
            async with docs.expect_response(lambda answer: "/v1/" in answer.url) as answered:
                await operation.get_by_role("button", name="Execute").click()
            # then the request goes through the proxy to the service,
            answer = await answered.value
            assert answer.url == f"{address}/prefs{PATH}"
            assert (await answer.json())["error"]["code"] == "UNAUTHORIZED"
            # and the example to copy names the same address.
            await expect(operation.locator(".curl-command")).to_contain_text(f"{address}/prefs{PATH}")
