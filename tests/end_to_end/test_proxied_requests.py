"""Requests through the proxies of docs/proxies.md: HTTP/2, limits, and what a proxy makes of a tag."""

import json
import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from api.schemas import ETAG
from domain.preferences import stream_id
from tests.support import proxies
from tests.support.counterparts import counterpart
from tests.support.server import PATH
from tests.support.tokens import bearer

ON = b'{"email": {"weekly_usage_digest": true}}'
LARGEST = 1024 * 1024
"""Bytes of the largest body that the service takes."""

each = pytest.mark.parametrize(
    "proxy", [proxies.nginx, proxies.haproxy, proxies.apache], ids=lambda proxy: proxy.__name__
)


@pytest.mark.parametrize(
    ("proxy", "prefix"), [(proxies.nginx, "/prefs"), (proxies.haproxy, "/prefs"), (proxies.balancer, "")]
)
def test_http2_ends_at_the_proxy(server, fresh_user, query, proxy, prefix) -> None:
    # Given a client that speaks HTTP/2
    user = fresh_user()
    curl = [counterpart("curl", "curl isn't there: install Debian's curl"), "--silent", "--insecure", "--http2"]
    curl += ["--header", f"Authorization: {bearer(user)['Authorization']}"]
    with proxy(server.url.removeprefix("http://")) as address:
        read = said([*curl, "--include", f"{address}{prefix}{PATH}"])
        [tag] = [line[6:] for line in read.splitlines() if line.lower().startswith("etag: ")]
        change = [*curl, "--request", "PATCH", "--data", ON.decode(), "--header", f"If-Match: {tag}"]
        change += ["--output", os.devnull, "--write-out", "%{http_version} %{http_code}", f"{address}{prefix}{PATH}"]
        # when it changes the state that it has read, then it is changed once.
        assert [said(change), said(change)] == ["2 200", "2 412"]
    assert query(
        "SELECT count(*) FROM current_preferences WHERE originator_id = %s", [stream_id("org_math", user)]
    ) == [(1,)]


def said(command: list[str | Path]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("proxy", "prefix"), proxies.BOXES)
def test_the_largest_question_goes_through_and_a_larger_one_does_not(server, proxy, prefix) -> None:
    question = {"channel": "email", "toggle": "weekly_usage_digest", "users": [f"user_{n}" for n in range(1000)]}
    body = json.dumps(question).encode()
    with (
        proxy(server.url.removeprefix("http://")) as address,
        httpx.Client(base_url=f"{address}{prefix}", verify=False, timeout=10) as client,
    ):
        for size, status in ((LARGEST, 200), (LARGEST + 1, 413)):
            headers = bearer("user_admin", role="admin")
            answer = client.post("/v1/decisions", content=body.ljust(size), headers=headers)
            assert answer.status_code == status


class Heads:
    """Requests with a header or an address of so many KiB, over HTTP/1.1 or, where the proxy speaks it, HTTP/2."""

    def __init__(self, base: str, caller: dict[str, str], folder: Path) -> None:
        self._url = f"{base}{PATH}"
        self._caller = f"Authorization: {caller['Authorization']}"
        self._headers = folder / "headers"
        self._answer = folder / "answer"

    def header(self, kib: int, protocol: str = "http1.1") -> str:
        """The status; 000 if the proxy closed the connection without an answer, as it may over HTTP/2."""
        return self._status(self._url, protocol, "X-Padding: " + "x" * kib * 1024)

    def address(self, kib: int, protocol: str = "http1.1") -> str:
        return self._status(self._url + "?padding=" + "x" * kib * 1024, protocol)

    def refusal(self) -> str:
        """The code in the last answer, which was in the product's envelope."""
        return json.loads(self._answer.read_text())["error"]["code"]

    def _status(self, url: str, protocol: str, *headers: str) -> str:
        self._headers.write_text("\n".join([self._caller, *headers]))
        curl = [counterpart("curl", "curl isn't there: install Debian's curl"), "--silent", "--insecure"]
        curl += [f"--{protocol}", "--header", f"@{self._headers}", "--output", self._answer]
        return subprocess.run(
            [*curl, "--write-out", "%{http_code}", url], capture_output=True, text=True, check=False
        ).stdout


RAISED = {
    proxies.nginx: "    large_client_header_buffers 2 64k;",
    proxies.haproxy: "    tune.bufsize 65536 ",
    proxies.apache: "    LimitRequestLine 65536\n    LimitRequestFieldSize 65536\n",
}
"""What a box says of heads."""


@pytest.mark.parametrize("protocol", ["http1.1", "http2"])
@each
def test_a_box_takes_each_head_that_the_service_takes(server, fresh_user, proxy, protocol, tmp_path) -> None:
    with proxy(server.url.removeprefix("http://")) as address:
        heads = Heads(f"{address}/prefs", bearer(fresh_user()), tmp_path)
        assert (heads.header(31, protocol), heads.address(31, protocol)) == ("200", "200")
        # A larger one is refused by the service, which says so in its own words.
        for asked in (heads.header, heads.address):
            assert (asked(40, protocol), heads.refusal()) == ("431", "HEADERS_TOO_LARGE")
        assert heads.header(80, protocol) in {"000", "400"}


@pytest.mark.parametrize(
    ("proxy", "prefix", "taken", "refused", "too_long"),
    [
        (proxies.nginx, "/prefs", 7, 9, "414"),
        (proxies.apache, "/prefs", 7, 9, "414"),
        (proxies.haproxy, "/prefs", 14, 16, "400"),
        (proxies.balancer, "", 14, 16, "400"),
    ],
)
def test_a_proxy_refuses_heads_that_the_service_takes_unless_its_limit_is_raised(
    server, fresh_user, proxy, prefix, taken, refused, too_long, tmp_path
) -> None:
    by_default = {RAISED[proxy]: ""} if proxy in RAISED else {}
    with proxy(server.url.removeprefix("http://"), changed=by_default) as address:
        heads = Heads(f"{address}{prefix}", bearer(fresh_user()), tmp_path)
        assert (heads.header(taken), heads.address(taken)) == ("200", "200")
        assert (heads.header(refused), heads.address(refused)) == ("400", too_long)


@each
def test_a_tag_that_a_proxy_has_changed_is_still_as_the_description_says(server, fresh_user, proxy) -> None:
    own = httpx.get(server.url + PATH, headers=(caller := bearer(fresh_user()))).headers["etag"]
    with proxy(server.url.removeprefix("http://")) as address:
        tag = httpx.get(f"{address}/prefs{PATH}", headers=caller, verify=False).headers["etag"]
    assert tag != own
    for found in (own, tag):
        assert re.fullmatch(ETAG["ETag"]["schema"]["pattern"], found)
