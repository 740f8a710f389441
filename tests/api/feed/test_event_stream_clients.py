"""The feed read by clients that others wrote: no message without data, and back again after each 502 and 503."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest
from httpx_sse import aconnect_sse

from tests.support import proxies
from tests.support.catalogues import publish
from tests.support.counterparts import counterpart, missing
from tests.support.events import catalogue_published
from tests.support.events_client import EVENTS, events_key
from tests.support.eventually import until
from tests.support.filled_log import Chance, put
from tests.support.nginx import Nginx
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "feed.md").read_text()
CLIENTS = ROOT / "tests" / "clients"


def box(language: str) -> str:
    [code] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return code


@pytest.fixture
def live(database_url: str) -> Iterator[Server]:
    put(database_url, [catalogue_published(1), *Chance(5).events(20)])
    with Server(database_url, feed_heartbeat=0.3) as server:
        yield server


@pytest.fixture
def crowded(database_url: str) -> Iterator[Server]:
    """With a single place for a reader of the live feed."""
    put(database_url, [catalogue_published(1), *Chance(5).events(20)])
    with Server(database_url, feed_heartbeat=0.3, feed_readers=1) as server:
        yield server


@pytest.mark.parametrize("organization", [None, "org_quiet"])
async def test_httpx_sse_hands_out_no_message_without_data_and_is_moved_on(
    organization: str | None, live: Server
) -> None:
    headers = await events_key(live.database_url, organization)
    events, last = [], 0
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(3),
            httpx.AsyncClient(base_url=live.url, timeout=10) as http,
            aconnect_sse(http, "GET", EVENTS, headers=headers) as source,
        ):
            async for message in source.aiter_sse():
                document = message.json()
                assert message.event in {document.get("type"), "position"}
                events += [document] if message.event != "position" else []
                last = int(message.id)
    # The log is 21 events long; of an organization that has none, the catalogue is all that there is.
    assert last == 21
    assert len(events) == (21 if organization is None else 1)


JAVASCRIPT = """
follow(process.env.URL, process.env.KEY, ['notification-preferences.toggled.v1'], 0, (event) => console.log(JSON.stringify(event)))
"""
PYTHON = """
import os
follow(os.environ["URL"], os.environ["KEY"], 0, lambda event: print(json.dumps(event), flush=True))
"""


each_language = pytest.mark.parametrize("language", ["js", "python"])
each_proxy = pytest.mark.parametrize(("proxy", "status"), [("nginx", 502), ("haproxy", 503)])


@each_language
@each_proxy
def test_the_programs_of_the_page_come_back_when_a_proxy_has_said_that_the_service_is_away(
    proxy: str, status: int, language: str, live: Server, tmp_path: Path
) -> None:
    key = key_of(live)
    with behind(proxy, live, tmp_path) as url, following(language, url, key, tmp_path) as told:
        before = toggled(live, key)
        until(lambda: told.positions == before)
        # The service is away for longer than a client waits before it tries again, so that it is told so.
        live.stop()
        until(lambda: httpx.get(url + EVENTS).status_code == status)
        time.sleep(4)
        live.start()
        choose(live, 3)
        after = toggled(live, key)
        assert len(after) == len(before) + 3
        until(lambda: told.positions == after)


@each_language
def test_the_programs_of_the_page_come_back_when_all_places_were_taken(
    language: str, crowded: Server, tmp_path: Path
) -> None:
    key = key_of(crowded)
    with ExitStack() as others:
        others.enter_context(place_taken(crowded, key))
        with following(language, crowded.url, key, tmp_path) as told:
            # It is refused, and asks again.
            until(lambda: refusals(crowded) >= 2)
            assert told.positions == []
            # When the place is free, it gets it.
            others.close()
            until(lambda: told.positions == toggled(crowded, key))


@each_proxy
def test_an_eventsource_that_is_left_alone_gives_up_when_a_proxy_says_that_the_service_is_away(
    proxy: str, status: int, live: Server, tmp_path: Path
) -> None:
    key = key_of(live)
    with behind(proxy, live, tmp_path) as url:
        live.stop()
        until(lambda: httpx.get(url + EVENTS).status_code == status)
        gives_up(url, key, tmp_path)


def test_an_eventsource_that_is_left_alone_gives_up_when_all_places_are_taken(crowded: Server, tmp_path: Path) -> None:
    key = key_of(crowded)
    with place_taken(crowded, key):
        gives_up(crowded.url, key, tmp_path)


def key_of(server: Server) -> str:
    return asyncio.run(events_key(server.database_url))["Authorization"].removeprefix("Bearer ")


@contextmanager
def behind(proxy: str, server: Server, folder: Path) -> Iterator[str]:
    """The address of the service behind a proxy without TLS."""
    if proxy == "nginx":
        with Nginx(server.url, folder) as nginx:
            yield nginx.url
    else:
        asyncio.run(publish(server.database_url))  # a proxy that asks /readyz waits for the catalogue
        plain = {" ssl crt /etc/ssl/preferences.pem alpn h2,http/1.1": ""}
        with proxies.haproxy(server.url.removeprefix("http://"), changed=plain) as address:
            yield f"{address}/prefs"


@contextmanager
def place_taken(server: Server, key: str) -> Iterator[None]:
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    with httpx.stream("GET", server.url + EVENTS, headers=headers, timeout=10) as reader:
        assert reader.status_code == 200
        yield


def refusals(server: Server) -> int:
    """How many requests were answered 503."""
    counted = r'^http_server_request_duration_seconds_count{.*code="503".*} (\S+)$'
    metrics = httpx.get(f"{server.url}/metrics").text
    return sum(int(float(number)) for number in re.findall(counted, metrics, re.MULTILINE))


def started(language: str, code: str, url: str, key: str, folder: Path) -> subprocess.Popen[str]:
    interpreter = Path(sys.executable)
    if language == "js":
        interpreter = counterpart("node", "Node.js isn't there: install node 20 or newer, then run `make clients`")
        if not (CLIENTS / "node_modules" / "eventsource").exists():
            missing("npm's eventsource isn't there: `make clients` installs it")
        (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    program = folder / ("follow.mjs" if language == "js" else "follow.py")
    program.write_text(code + (JAVASCRIPT if language == "js" else PYTHON))
    return subprocess.Popen(
        [interpreter, program],
        env={"URL": url, "KEY": key, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def following(language: str, url: str, key: str, folder: Path) -> Iterator["Told"]:
    """What the program of the page is told."""
    with started(language, box(language), url, key, folder) as running:
        try:
            yield Told(running.stdout)
        finally:
            running.kill()


def gives_up(url: str, key: str, folder: Path) -> None:
    """The program of the page ends if nothing makes a new EventSource: the negative control."""
    alone, cut = re.subn(r"  source\.addEventListener\('error'.*?\n  \}\)\n", "", box("js"), flags=re.DOTALL)
    assert cut == 1
    with started("js", alone, url, key, folder) as running:
        try:
            assert running.communicate(timeout=30) == ("", "")
        finally:
            running.kill()
    assert running.returncode == 0


class Told:
    """What a program prints, as it prints it."""

    def __init__(self, lines: IO[str] | None) -> None:
        assert lines is not None
        self.positions: list[int] = []
        threading.Thread(target=self._take, args=(lines,), daemon=True).start()

    def _take(self, lines: IO[str]) -> None:
        for line in lines:
            event = json.loads(line)
            if event["type"] == "notification-preferences.toggled.v1":
                self.positions.append(int(event["sequence"]))


def toggled(server: Server, key: str) -> list[int]:
    headers = {"Authorization": f"Bearer {key}"}
    query = {"type": "notification-preferences.toggled.v1", "limit": 1000}
    page = httpx.get(f"{server.url}{EVENTS}", params=query, headers=headers, timeout=10).json()
    return [int(event["sequence"]) for event in page["data"]]


def choose(server: Server, times: int) -> None:
    with httpx.Client(base_url=server.url, headers=bearer("user_live"), timeout=10) as http:
        for number in range(times):
            body = {"email": {"weekly_usage_digest": number % 2 == 0}}
            assert http.patch(PATH, json=body).status_code == 200
