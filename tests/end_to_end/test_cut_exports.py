"""Exports behind proxies. haproxy ends lines that are cut off as if they were whole, so that they tell it by themselves. nginx keeps none on its disk."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import proxies
from tests.support.catalogues import publish
from tests.support.counterparts import counterpart
from tests.support.eventually import until
from tests.support.filled_log import fill
from tests.support.server import Server
from tests.support.tokens import session_token

SPOOLED = "an upstream response is buffered to a temporary file"
PATHS = ("/v1/audit-log", "/v1/events")


@pytest.fixture
def filled(serve, database_url: str) -> Callable[[int], Server]:
    """The service with a log of so many events, and the one that publishes the catalogue."""

    def start(count: int) -> Server:
        fill(database_url, count)
        # A proxy that asks /readyz waits for the catalogue.
        asyncio.run(publish(database_url))
        return serve(role_scopes="admin=audit:read,events:read")

    return start


class Curl:
    """A download over HTTP/2, at so many bytes a second, of which the first are there already."""

    def __init__(self, url: str, file: Path, rate: str = "2M") -> None:
        self.file = file
        self._process = subprocess.Popen(
            [
                counterpart("curl", "curl isn't there: install Debian's curl"),
                *("--silent", "--fail", "--insecure", "--http2", "--limit-rate", rate, "--output", file, url),
                *("--write-out", "%{http_version}", "--header", "Accept: application/x-ndjson"),
                *("--header", f"Authorization: Bearer {session_token('user_grace', role='admin')}"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        until(lambda: file.exists() and file.stat().st_size)

    def end(self) -> list[dict[str, Any]]:
        """The lines, which are whole as far as curl can tell; without one that is cut in the middle."""
        version, _ = self._process.communicate(timeout=60)
        assert (self._process.returncode, version) == (0, "2")
        return [json.loads(line) for line in self.file.read_text().splitlines() if line.endswith("}")]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def broken_off(self) -> bool:
        """Whether the answer has come to no end, as HTTP/1.1 and HTTP/2 tell it."""
        self._process.communicate(timeout=60)
        return self._process.returncode in {18, 92}


def test_half_of_the_lines_look_whole_behind_haproxy_unless_the_last_one_is_asked_for(filled, tmp_path: Path) -> None:
    # Given downloads that have begun, half of which asked for a last line, and others through proxies of other kinds
    count = 40_000
    server = filled(count)
    with ExitStack() as running:
        outside, *others = (
            running.enter_context(proxy(server.url.removeprefix("http://"))) + "/prefs"
            for proxy in (proxies.haproxy, proxies.nginx, proxies.apache)
        )
        without = [Curl(f"{outside}{path}", tmp_path / f"without{number}") for number, path in enumerate(PATHS)]
        asked = [Curl(f"{outside}{path}?trailer=true", tmp_path / f"asked{n}") for n, path in enumerate(PATHS)]
        elsewhere = [Curl(f"{other}{PATHS[1]}", tmp_path / f"other{number}") for number, other in enumerate(others)]
        # when the service is killed
        server.kill()
        # then HTTP says of each that it is whole: the negative control.
        ended = [download.end() for download in (*without, *asked)]
        assert all(0 < len(lines) < count for lines in ended)
        # Only the lines themselves say that they are not, to those that asked.
        assert not any("end" in line for lines in ended for line in lines)
        # nginx and Apache hand on that the answer was broken off.
        assert all(download.broken_off() for download in elsewhere)


def test_whole_lines_end_with_one_that_says_so_to_those_that_asked(filled, tmp_path: Path) -> None:
    server = filled(3000)
    with proxies.haproxy(server.url.removeprefix("http://")) as address:
        outside = f"{address}/prefs"
        for path in PATHS:
            without = Curl(f"{outside}{path}", tmp_path / "without").end()
            *lines, last = Curl(f"{outside}{path}?trailer=true", tmp_path / "asked").end()
            assert lines == without
            assert (last["end"], last["lines"]) == (True, 3000 + (path == "/v1/events"))
            assert not any("end" in line for line in lines)


@pytest.mark.parametrize(
    ("path", "accept"),
    [(path, "application/x-ndjson") for path in PATHS] + [(PATHS[0], "text/csv"), (PATHS[1], "text/event-stream")],
)
def test_an_answer_that_is_sent_piece_by_piece_asks_not_to_be_buffered(filled, path: str, accept: str) -> None:
    headers = {"Authorization": f"Bearer {session_token('user_grace', role='admin')}", "Accept": accept}
    server = filled(1)
    for method in ("GET", "HEAD"):
        with httpx.stream(method, server.url + path, headers=headers) as answer:
            assert (answer.status_code, answer.headers["x-accel-buffering"]) == (200, "no")


def test_nginx_writes_no_export_to_its_disk(filled, tmp_path: Path) -> None:
    server = filled(40_000)
    log, control = tmp_path / "log", tmp_path / "control"
    # Given an nginx as in the page, and one that doesn't obey: the negative control
    said = {log: "", control: "proxy_ignore_headers X-Accel-Buffering;"}
    with ExitStack() as running:
        for file, ignoring in said.items():
            changed = {"    gzip on;": f"    error_log {file} warn;\n    {ignoring}\n    gzip on;"}
            nginx = proxies.nginx(server.url.removeprefix("http://"), changed=changed)
            url = f"{running.enter_context(nginx)}/prefs{PATHS[0]}"
            # when an export is taken more slowly than it is made
            running.callback(Curl(url, tmp_path / f"{file.name}.ndjson", rate="200k").kill)
        # then only the one writes a part of it to a file.
        until(lambda: SPOOLED in control.read_text())
        time.sleep(2)
        assert SPOOLED not in log.read_text()
