"""HEAD: what GET would say, without the body, wherever there is a GET."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from api.app import framework
from api.bootstrap.service import wire
from infrastructure.settings import Settings
from tests.support.catalogues import publish
from tests.support.counterparts import counterpart
from tests.support.evidence import Evidence
from tests.support.links import PUBLIC_URL, SECRET, link
from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import PUBLISHABLE_KEY, bearer

ON = b'{"email": {"weekly_usage_digest": true}}'
ITS_OWN = {"date", "x-request-id"}
FORMS = {"json": "application/json", "lines": "application/x-ndjson", "rows": "text/csv", "stream": "text/event-stream"}

NEVER_TWICE = {
    "/readyz": ["content-length"],
    "/v1/audit-log": ["x-last-event-at"],
    "/v1/audit-log/summary": ["x-last-event-at"],
    "/v1/audit-log/reads": ["content-length"],  # each answer is a reading, which the next one tells of
}
"""Headers of which no two are the same."""

# Path, accepted form, status.
READ = [
    ("/healthz", "json", 200),
    ("/readyz", "json", 200),
    ("/openapi.json", "json", 200),
    ("/docs", "json", 200),
    *((f"/docs/{name}", "json", 200) for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon.png")),
    ("/preferences", "json", 200),
    ("/console", "json", 200),
    ("/assets/look.css", "json", 200),
    ("/elements/notification-preferences.js", "json", 200),
    (link(), "json", 200),
    ("/unsubscribe/nothing", "json", 404),
    (PATH, "json", 200),
    (f"{PATH}/history", "json", 200),
    ("/v1/notifications/catalogue", "json", 200),
    (f"{PATH}/history?limit=0", "json", 422),
    ("/v1/users/user_ada/notifications", "json", 200),
    ("/v1/users/user_ada/notifications/history", "json", 200),
    ("/v1/users/user_ada/evidence", "json", 200),
    ("/v1/users/user_nobody/evidence", "json", 404),
    ("/v1/audit-log", "json", 200),
    ("/v1/audit-log?limit=1", "lines", 422),
    ("/v1/audit-log", "lines", 200),
    ("/v1/audit-log", "rows", 200),
    ("/v1/audit-log/summary", "json", 200),
    ("/v1/audit-log/summary", "rows", 200),
    ("/v1/audit-log/reads", "json", 200),
    ("/v1/audit-log/checkpoint", "json", 200),
    ("/v1/audit-log/catalogues", "json", 200),
    ("/v1/events", "json", 200),
    ("/v1/events?after=9999", "json", 409),
    ("/v1/events", "lines", 200),
    ("/v1/events?limit=1", "lines", 200),
    ("/v1/nowhere", "json", 404),
]


ALWAYS_CHANGING = "/metrics"


@pytest.fixture
async def reading(serve: Callable[..., Server], database_url: str, folder: Path) -> Server:
    """A service with one user's change, which is signed and in the audit log's index, and whose live feed has one place."""
    await publish(database_url)
    evidence = Evidence(database_url, folder)
    pages = {"clerk_publishable_key": PUBLISHABLE_KEY, "unsubscribe_keys": SECRET, "public_url": PUBLIC_URL}
    server = serve(
        role_scopes="admin=audit:read,events:read", feed_readers=1, followers="on", **evidence.settings, **pages
    )
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        assert (await client.patch(PATH, content=ON, headers=caller())).status_code == 200
        async with asyncio.timeout(60):
            while not (await client.get("/v1/audit-log", headers=caller())).json()["data"]:  # noqa: ASYNC110 - the index is in another process
                await asyncio.sleep(0.05)
    await asyncio.to_thread(evidence.checkpoint)
    return server


@pytest.fixture
async def client(reading: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=reading.url, timeout=10, headers=caller()) as client:
        yield client


def caller() -> dict[str, str]:
    return bearer("user_ada", role="admin")


def said(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ITS_OWN}


async def test_head_says_what_get_says(client: httpx.AsyncClient) -> None:
    for path, form, status in READ:
        # Given what GET answers
        accept = {"Accept": FORMS[form]}
        read = await client.get(path, headers=accept)
        assert (read.status_code, bool(read.content)) == (status, True), path
        # when HEAD is sent, then status and headers are the same, the length of the body included,
        asked = await client.head(path, headers=accept)
        expected = said(read)
        # except that a body which isn't sent isn't cut into chunks either.
        expected.pop("transfer-encoding", None)
        for name in NEVER_TWICE.get(path, []):
            assert (name in asked.headers) == (expected.pop(name, None) is not None), path
            asked.headers.pop(name, None)
        assert (asked.status_code, said(asked), asked.content) == (status, expected, b""), path


async def test_the_head_of_what_changes_all_the_time_is_that_of_an_answer(client: httpx.AsyncClient) -> None:
    for accept in ("*/*", "text/plain"):
        asked = await client.head(ALWAYS_CHANGING, headers={"Accept": accept})
        assert (asked.status_code, asked.content) == (200, b"")
        assert asked.headers["content-type"].startswith("text/plain")
        assert int(asked.headers["content-length"]) > 1000


def test_every_get_is_tried() -> None:
    tried = [urlsplit(path).path for path in (*(path for path, _, _ in READ), ALWAYS_CHANGING)]
    application = framework(*wire(Settings(database_url="postgresql://unused", clerk_issuer="https://unused.invalid")))
    routes = [route for route in application.routes if "GET" in route.methods]
    assert PATH in [route.path for route in routes]
    assert [route.path for route in routes if not any(map(route.path_regex.fullmatch, tried))] == []


async def test_what_is_refused_to_get_is_refused_to_head(client: httpx.AsyncClient) -> None:
    for path in (PATH, f"{PATH}/history", "/v1/audit-log", "/v1/events", "/v1/users/user_ada/notifications"):
        asked = await client.head(path, headers={"Authorization": "Bearer nobody"})
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    asked = await client.head("/v1/decisions")
    assert (asked.status_code, asked.headers["allow"]) == (405, "POST")


async def test_a_state_that_is_known_is_not_modified(client: httpx.AsyncClient) -> None:
    tag = (await client.head(PATH)).headers["etag"]
    assert (await client.head(PATH, headers={"If-None-Match": tag})).status_code == 304


async def test_a_body_is_never_sent(reading: Server) -> None:
    # Given one connection, so that a body would be taken for the beginning of the next answer
    async with connected(reading.url) as connection:
        for path, form, status in READ:
            headers = {**caller(), "Accept": FORMS[form]}
            await connection.send(request_head("HEAD", path, *headers.items()))
            assert await connection.head() == status, path
        await connection.send(request_head("GET", "/healthz"))
        assert (await connection.answer()).status == 200


async def test_a_stream_ends_with_its_head_and_takes_no_place(client: httpx.AsyncClient) -> None:
    # Given a reader who has the only place
    accept = {"Accept": "text/event-stream"}
    for _ in range(3):
        asked = await client.head("/v1/events", headers=accept)
        assert (asked.status_code, asked.headers["content-type"], asked.content) == (200, "text/event-stream", b"")
    # when it has asked with HEAD, then the place is free.
    async with client.stream("GET", "/v1/events", headers=accept) as stream:
        assert stream.status_code == 200
        assert (await client.head("/v1/events", headers=accept)).status_code == 200


async def test_head_of_an_export_is_no_reading_and_that_of_a_page_is(
    reading: Server, client: httpx.AsyncClient
) -> None:
    def recorded() -> list[str]:
        with psycopg.connect(reading.database_url) as connection:
            return [action for (action,) in connection.execute("SELECT action FROM audit_reads ORDER BY id")]

    before = recorded()
    # The head of an export tells nothing of what is in it,
    for form in ("lines", "rows"):
        assert (await client.head("/v1/audit-log", headers={"Accept": FORMS[form]})).status_code == 200
    assert recorded() == before
    # that of a page tells how long it is, and so whether anything fits the filter.
    assert (await client.head("/v1/audit-log")).status_code == 200
    assert recorded() == [*before, "audit_log.read"]


def test_curl_asks_for_the_head(reading: Server) -> None:
    curl = counterpart("curl", "curl isn't there: install Debian's curl")
    authorization = f"Authorization: {caller()['Authorization']}"
    for path in ("/healthz", "/readyz", "/docs", PATH):
        command = [curl, "-sSI", "--max-time", "5", "-H", authorization, reading.url + path]
        head = subprocess.run(command, capture_output=True, check=True).stdout
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\ncontent-length: " in head
