"""What is public behind the proxies of docs/proxies.md."""

import re
import subprocess

import httpx
import pytest

from tests.support import proxies
from tests.support.counterparts import counterpart
from tests.support.server import PATH, Server

PUBLIC = [
    PATH,
    "/docs",
    "/openapi.json",
    "/preferences",
    "/console",
    "/unsubscribe/unknown",
    "/elements/notification-preferences.js",
]
HIDDEN = ["/healthz", "/readyz", "/metrics"]
DISGUISED = [
    "{}?a=b",
    "{}/",
    "/{}",
    "/.{}",
    "/%2e{}",
    "/v1/..{}",
    "/v1/%2e%2e{}",
    "/docs/..{}",
    "/assets/..{}",
    "{};a=b",
]
"""Ways to write a path that a proxy and the service could understand differently."""

each_box = pytest.mark.parametrize(("proxy", "prefix"), proxies.BOXES, ids=lambda of: getattr(of, "__name__", ""))


def asked(base: str, path: str) -> tuple[int, bool]:
    """The status, and whether it is the service's answer."""
    curl = counterpart("curl", "curl isn't there: install Debian's curl")
    answer = subprocess.run(
        [curl, "--silent", "--insecure", "--include", "--path-as-is", base + path], check=True, capture_output=True
    ).stdout
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return int(head.split()[1]), b"\r\nx-request-id: " in head


@each_box
def test_the_public_paths_are_passed_on(server: Server, proxy, prefix: str) -> None:
    page = httpx.get(f"{server.url}/console").text
    public = [*PUBLIC, *(f"/{path}" for path in re.findall(r'(?:assets|elements)/[^"]+', page))]
    assert len(public) > len(PUBLIC)
    with proxy(server.url.removeprefix("http://")) as address:
        for path in public:
            assert asked(address + prefix, path) == asked(server.url, path)


@each_box
def test_nothing_else_is_passed_on(server: Server, proxy, prefix: str) -> None:
    with proxy(server.url.removeprefix("http://")) as address:
        for path in [*HIDDEN, "/", "/v2/", "/unknown"]:
            assert asked(address + prefix, path) == (404, False), path
        for disguise in DISGUISED:
            for path in HIDDEN:
                status, _ = asked(address + prefix, disguise.format(path))
                assert status in {400, 404}, disguise
    # The service itself has them.
    assert [asked(server.url, path) for path in HIDDEN] == [(200, True)] * 3
