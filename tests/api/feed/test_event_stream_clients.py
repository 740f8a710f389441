"""The feed read by clients that others wrote: no message without data, and back again after a proxy's 502."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from httpx_sse import aconnect_sse

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


@pytest.mark.parametrize("language", ["js", "python"])
def test_the_programs_of_the_page_come_back_after_a_proxy_has_answered_502(
    language: str, live: Server, tmp_path: Path
) -> None:
    interpreter = Path(sys.executable)
    if language == "js":
        interpreter = counterpart("node", "Node.js isn't there: install node 20 or newer, then run `make clients`")
        if not (CLIENTS / "node_modules" / "eventsource").exists():
            missing("npm's eventsource isn't there: `make clients` installs it")
    key = asyncio.run(events_key(live.database_url))["Authorization"].removeprefix("Bearer ")
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")
    program = tmp_path / ("follow.mjs" if language == "js" else "follow.py")
    program.write_text(box(language) + (JAVASCRIPT if language == "js" else PYTHON))
    with Nginx(live.url, tmp_path) as nginx:
        running = subprocess.Popen(
            [interpreter, program],
            env={"URL": nginx.url, "KEY": key, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with running:
            told = Told(running.stdout)
            try:
                before = toggled(live, key)
                until(lambda: told.positions == before)
                # The service is away for longer than a client waits before it tries again, so that it is answered 502.
                live.stop()
                until(lambda: nginx.status() == 502)
                time.sleep(4)
                live.start()
                choose(live, 3)
                after = toggled(live, key)
                assert len(after) == len(before) + 3
                until(lambda: told.positions == after)
            finally:
                running.kill()


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
