"""The live feed behind the proxies of docs/proxies.md: each event comes at once, and nobody is cut off for being idle."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from statistics import median

import httpx

from tests.support import proxies
from tests.support.counterparts import counterpart
from tests.support.events_client import EVENTS, events_key
from tests.support.figures import figures
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

CHANGES = [{"email": {"weekly_usage_digest": True}}, {"email": {"weekly_usage_digest": False}}]
TIMES = 5
APART, LATE = 0.25, 0.15
"""Seconds. haproxy sends what it gathers after 0.2."""
IDLE_LIMIT = 2
IMPATIENT = {proxies.apache: {"ProxyTimeout 60": f"ProxyTimeout {IDLE_LIMIT}"}}
"""What the box of a proxy says, with that limit; of all others it's `60s`."""


class Follower:
    """curl on the live feed, over HTTP/2 where the proxy speaks it. `told`: the request id of each event, and when it came."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: dict[str, float] = {}
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.begun.set()
            if line.startswith(b"data: {") and (event := json.loads(line[6:])).get("type"):
                self.told[event["data"]["request_id"]] = time.perf_counter()
        self.ended.set()

    async def all_of(self, requests: Iterable[str]) -> None:
        """Return when it was told of all of them."""
        async with asyncio.timeout(60):
            while not self.told.keys() >= {*requests}:  # noqa: ASYNC110 - lines of another process
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._listening
        await self._process.wait()


@asynccontextmanager
async def following(base: str, headers: dict[str, str]) -> AsyncIterator[Follower]:
    curl = counterpart("curl", "curl isn't there: install Debian's curl")
    sent = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *(
            curl,
            "-sN",
            "--insecure",
            "--http2",
            "--compressed",
            *sent,
            "-H",
            "Accept: text/event-stream",
            base + EVENTS,
        ),
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    follower = Follower(process)
    try:
        async with asyncio.timeout(10):
            await follower.begun.wait()
        yield follower
    finally:
        await follower.stop()


async def test_an_event_comes_at_once_through_each_proxy(server: Server, fresh_user, record_property) -> None:
    # Given readers of the live feed behind each proxy, and behind a haproxy that has neither TLS nor `http-no-delay`
    host, key = server.url.removeprefix("http://"), await events_key(server.database_url)
    plain = {" ssl crt /etc/ssl/preferences.pem alpn h2,http/1.1": ""}
    gathering = {"option http-no-delay": "# "}
    with ExitStack() as running:
        start = running.enter_context
        bases = {
            "nginx": start(proxies.nginx(host)) + "/prefs",
            "haproxy": start(proxies.haproxy(host)) + "/prefs",
            "haproxy, plain": start(proxies.haproxy(host, changed=plain)) + "/prefs",
            "gathering": start(proxies.haproxy(host, changed={**plain, **gathering})) + "/prefs",
            "apache": start(proxies.apache(host)) + "/prefs",
            "balancer": start(proxies.balancer(host)),
        }
        async with AsyncExitStack() as open_ones:
            followers = {
                name: await open_ones.enter_async_context(following(base, key)) for name, base in bases.items()
            }
            # when a user changes something now and then
            changed_at = await change_now_and_then(server.url, bearer(fresh_user()))
            await asyncio.gather(*(follower.all_of(changed_at) for follower in followers.values()))
    # then each reader is told of it within a moment, and only the last one later: the negative control.
    waited = {
        name: median(follower.told[request] - at for request, at in changed_at.items())
        for name, follower in followers.items()
    }
    figures(record_property, **{name: f"{seconds * 1000:.0f} ms" for name, seconds in waited.items()})
    assert waited.pop("gathering") > LATE
    assert all(seconds < LATE for seconds in waited.values()), waited


async def change_now_and_then(url: str, caller: dict[str, str]) -> dict[str, float]:
    """When each change was answered, by its request id."""
    changed_at = {}
    async with httpx.AsyncClient(base_url=url, headers=caller) as client:
        for number in range(TIMES):
            answer = await client.patch(PATH, json=CHANGES[number % 2])
            changed_at[answer.headers["x-request-id"]] = time.perf_counter()
            await asyncio.sleep(APART)
    return changed_at


async def test_a_heartbeat_keeps_an_idle_stream_open(serve, server: Server) -> None:
    # Given a service whose heartbeat comes four times within a proxy's limit, as in the page, and one whose doesn't
    beating = serve(database_url=server.database_url, feed_heartbeat=IDLE_LIMIT / 4)
    key, short = await events_key(server.database_url), {"60s": f"{IDLE_LIMIT}s"}
    kept, cut = (one.url.removeprefix("http://") for one in (beating, server))
    with ExitStack() as running:
        start = running.enter_context
        bases = [
            start(proxy(host, changed=IMPATIENT.get(proxy, short))) + prefix
            for host in (kept, cut)
            for proxy, prefix in proxies.BOXES
        ]
        async with AsyncExitStack() as open_ones:
            followers = [await open_ones.enter_async_context(following(base, key)) for base in bases]
            idle, silent = followers[: len(proxies.BOXES)], followers[len(proxies.BOXES) :]
            # when nothing happens for longer than the limit
            await asyncio.sleep(1.5 * IDLE_LIMIT)
            # then the streams of the one are still open, and those of the other one aren't: the negative control.
            assert not any(follower.ended.is_set() for follower in idle)
            assert all(follower.ended.is_set() for follower in silent)
