"""CORS: pages of the applications that tokens are issued for may call, and read every answer; to others nothing changes."""

import asyncio

import httpx
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.catalogues import publish
from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

APP = "https://app.example.com"
ADMIN = "https://admin.example.com:8443"
STRANGERS = [
    "https://evil.example",
    "https://app.example.com.evil.example",
    "http://app.example.com",
    "null",
    APP + "/",
    "",
]
TOGGLE = b'{"email": {"weekly_usage_digest": true}}'
EXPOSED = {"etag", "x-request-id", "retry-after", "x-next-after", "x-last-event-at"}
ALLOWED = {"authorization", "content-type", "if-match", "if-none-match", "last-event-id", "traceparent", "tracestate"}


@pytest.fixture(scope="module")
def cors_server(new_database):
    url = new_database()
    asyncio.run(publish(url))
    with Server(url, clerk_authorized_parties=f"{APP},{ADMIN}") as running:
        yield running


@pytest.fixture
async def http(cors_server):
    async with httpx.AsyncClient(base_url=cors_server.url, timeout=10) as client:
        yield client


def caller(user: str = "user_ada") -> dict[str, str]:
    return bearer(user, azp=APP, role="admin")


def listed(headers: httpx.Headers, name: str) -> set[str]:
    return {part.strip().lower() for part in headers.get(name, "").split(",")}


def cors_headers(response: httpx.Response) -> list[str]:
    return [name for name in response.headers if name.startswith("access-control-")]


PATHS = [PATH, f"{PATH}/history", "/v1/decisions", "/v1/events", "/v1/audit-log", "/v1/users/user_ada/notifications"]


@pytest.mark.parametrize("origin", [APP, ADMIN])
@pytest.mark.parametrize("path", [*PATHS, "/healthz", "/openapi.json", "/v1/nothing"])
async def test_a_page_of_ours_may_ask_whatever_the_path(http, path: str, origin: str) -> None:
    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}
    response = await http.options(path, headers={"Origin": origin, **asks})
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == origin
    assert listed(response.headers, "access-control-allow-headers") >= ALLOWED
    assert listed(response.headers, "access-control-allow-methods") == {"get", "head", "patch", "post"}
    assert int(response.headers["access-control-max-age"]) > 600
    assert "access-control-allow-credentials" not in response.headers
    assert "content-length" not in response.headers
    assert "origin" in listed(response.headers, "vary")
    assert len(response.headers["x-request-id"]) == 26


ANSWERS = {
    "200 read": ("GET", PATH, {}, b"", 200),
    "200 changed": ("PATCH", PATH, {}, TOGGLE, 200),
    "304": ("GET", PATH, {"If-None-Match": "*"}, b"", 304),
    "400": ("PATCH", PATH, {}, b"{", 400),
    "401": ("GET", PATH, {"Authorization": "Bearer x"}, b"", 401),
    "403": ("GET", "/v1/events", {}, b"", 403),
    "404": ("GET", "/v1/nothing", {}, b"", 404),
    "405": ("DELETE", PATH, {}, b"", 405),
    "412": ("PATCH", PATH, {"If-Match": '"stale"'}, TOGGLE, 412),
    "413": ("PATCH", PATH, {}, b" " * 20_000, 413),
    "422": ("PATCH", PATH, {}, b'{"fax": {}}', 422),
    "200 export": ("GET", "/v1/audit-log", {"Accept": "application/x-ndjson"}, b"", 200),
    "200 probe": ("GET", "/healthz", {}, b"", 200),
}


@pytest.mark.parametrize(("method", "path", "headers", "body", "status"), ANSWERS.values(), ids=ANSWERS)
async def test_a_page_of_ours_reads_every_answer(http, method, path, headers, body, status) -> None:
    response = await http.request(method, path, headers={**caller(), "Origin": APP, **headers}, content=body)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == APP
    assert listed(response.headers, "access-control-expose-headers") >= EXPOSED
    assert "access-control-allow-credentials" not in response.headers
    assert "origin" in {
        part.strip().lower() for value in response.headers.get_list("vary") for part in value.split(",")
    }


@pytest.mark.parametrize(("method", "path", "headers", "body", "status"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("origin", [None, *STRANGERS])
async def test_to_all_others_it_is_as_if_there_were_none(http, origin, method, path, headers, body, status) -> None:
    asked = {**caller(), **({} if origin is None else {"Origin": origin}), **headers}
    response = await http.request(method, path, headers=asked, content=body)
    assert response.status_code == status
    assert cors_headers(response) == []
    # A cache learns that a page of ours would be answered otherwise.
    assert any("Origin" in value for value in response.headers.get_list("vary"))


@pytest.mark.parametrize("origin", STRANGERS)
async def test_a_stranger_may_not_even_ask(http, origin: str) -> None:
    response = await http.options(PATH, headers={"Origin": origin, "Access-Control-Request-Method": "PATCH"})
    assert response.status_code == 405
    assert cors_headers(response) == []


async def test_options_without_a_question_is_a_method_like_others(http) -> None:
    response = await http.options(PATH, headers={"Origin": APP})
    assert response.status_code == 405
    assert response.headers["access-control-allow-origin"] == APP


async def test_a_body_that_is_misframed_is_told_to_the_page(cors_server) -> None:
    head = request_head("PATCH", PATH, *caller().items(), ("Origin", APP), ("Transfer-Encoding", "chunked"))
    async with connected(cors_server.url) as connection:
        await connection.send(head + b"x\r\n")
        answer = await connection.answer()
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (400, APP)


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (f"X-Padding: {'x' * 40_000}\r\n\r\n".encode(), 431),
        (b"X-Padding: x\r\n\x00: no name\r\n\r\n", 400),
        (b"X-Padding: ", 408),
    ],
    ids=["a head that is too large", "a field that is none", "a head that does not end"],
)
async def test_a_head_that_is_refused_is_told_to_the_page(serve, rest: bytes, status: int) -> None:
    server = serve(cors_origins=APP, header_within=1)
    async with connected(server.url) as connection:
        await connection.send(request_head("GET", PATH, ("Origin", APP))[:-2], rest)
        answer = await connection.answer()
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (status, APP)


async def test_without_its_database_the_service_says_so_to_the_page(ready_cluster, folder) -> None:
    # Given a service whose database is gone
    with (
        EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres,
        Server(postgres.url, cors_origins=APP) as server,
    ):
        postgres.stop()
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            # when a page asks, then it learns that it may come back, and when.
            response = await http.get(PATH, headers={**bearer(), "Origin": APP})
    assert response.status_code == 503
    assert response.headers["access-control-allow-origin"] == APP
    assert "retry-after" in response.headers


async def test_the_origins_may_be_others_than_the_parties_or_none(serve) -> None:
    for origins, allowed in ((ADMIN, [ADMIN]), ("none", [])):
        server = serve(clerk_authorized_parties=APP, cors_origins=origins)
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            for origin in (APP, ADMIN):
                response = await http.get(PATH, headers={**caller(), "Origin": origin})
                assert response.status_code == 200
                assert response.headers.get("access-control-allow-origin") == (origin if origin in allowed else None)
            if not allowed:
                assert response.headers.get_list("vary") == ["Authorization"]
