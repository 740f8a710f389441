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


@each
def test_the_largest_question_goes_through_and_a_larger_one_does_not(server, proxy) -> None:
    question = {"channel": "email", "toggle": "weekly_usage_digest", "users": [f"user_{n}" for n in range(1000)]}
    body = json.dumps(question).encode()
    with (
        proxy(server.url.removeprefix("http://")) as address,
        httpx.Client(base_url=f"{address}/prefs", verify=False, timeout=10) as client,
    ):
        for size, status in ((LARGEST, 200), (LARGEST + 1, 413)):
            headers = bearer("user_admin", role="admin")
            answer = client.post("/v1/decisions", content=body.ljust(size), headers=headers)
            assert answer.status_code == status


@each
def test_a_tag_that_a_proxy_has_changed_is_still_as_the_description_says(server, fresh_user, proxy) -> None:
    own = httpx.get(server.url + PATH, headers=(caller := bearer(fresh_user()))).headers["etag"]
    with proxy(server.url.removeprefix("http://")) as address:
        tag = httpx.get(f"{address}/prefs{PATH}", headers=caller, verify=False).headers["etag"]
    assert tag != own
    for found in (own, tag):
        assert re.fullmatch(ETAG["ETag"]["schema"]["pattern"], found)
