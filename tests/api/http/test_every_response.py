"""What holds for every response of every path: the envelope, the request id, who may keep it."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from ulid_transform import ulid_now

from api import app
from api.feed import server_sent_events
from api.http.authentication import Authenticator
from api.http.rate_limit import RateLimit
from api.services import Services
from application.audit.evidence import UserEvidence
from application.audit.log import AuditLog
from application.audit.reads import Readings, RecordOfReading
from application.audit.summary import AuditSummary
from application.audit.users import Users
from application.decisions import Decisions
from application.feed.live_feed import LiveFeed
from application.identity import UserSession
from application.preferences.history import History
from application.preferences.preferences import Preferences
from application.unsubscribing import Unsubscribing
from domain.catalogue import CATALOGUE
from domain.errors import MissingScope
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.log.sealing import new_key
from infrastructure.postgres.database_clock import DatabaseClock
from infrastructure.unsubscribe.link_key import LinkKey
from infrastructure.unsubscribe.sealed_tokens import SealedTokens
from tests.support.catalogues import answered, publish
from tests.support.eventually import until
from tests.support.links import ONE_CLICK, SECRET, link, token
from tests.support.raw_http import exchange, request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

HISTORY = f"{PATH}/history"
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
DIGEST_ON = b'{"email": {"weekly_usage_digest": true}}'

MESSAGES = {
    "INVALID_INPUT": (400, "malformed JSON"),
    "UNAUTHORIZED": (401, "authentication failed"),
    "USER_REQUIRED": (403, "endpoint requires a user session"),
    "FORBIDDEN": (403, "missing required scope"),
    "NOT_FOUND": (404, "not found"),
    "METHOD_NOT_ALLOWED": (405, "method not allowed"),
    "PRECONDITION_FAILED": (412, "preferences have changed"),
    "PAYLOAD_TOO_LARGE": (413, "request body too large"),
    "UNKNOWN_NOTIFICATION_KEY": (422, "unknown notification key"),
    "IMMUTABLE_NOTIFICATION_KEY": (422, "immutable notification key"),
    "VALIDATION_FAILED": (422, "validation failed"),
    "RATE_LIMITED": (429, "rate limited"),
    "INTERNAL": (500, "internal error"),
    "UNAVAILABLE": (503, "temporarily unavailable"),
}
WITH_DETAILS = {"UNKNOWN_NOTIFICATION_KEY", "IMMUTABLE_NOTIFICATION_KEY", "VALIDATION_FAILED"}


def assert_common(response: httpx.Response) -> None:
    """What every response has, whatever its status."""
    assert len(response.headers.get_list("x-request-id")) == 1
    assert ULID.fullmatch(response.headers["x-request-id"])
    assert "server" not in response.headers
    if response.url.path.startswith("/v1/"):
        directives = {part.strip() for part in response.headers["cache-control"].split(",")}
        assert "private" in directives
        assert not directives & {"public", "immutable"}
        assert not any(part.startswith(("s-maxage", "max-age")) for part in directives)


def assert_error(response: httpx.Response, code: str) -> dict[str, Any]:
    """The error, in exactly the envelope's shape."""
    assert_common(response)
    status, message = MESSAGES[code]
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    error = body["error"]
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    assert set(error) == {"code", "message", "request_id"} | ({"details"} if code in WITH_DETAILS else set())
    assert (error["code"], error["message"]) == (code, message)
    assert error["request_id"] == response.headers["x-request-id"]
    assert all(isinstance(phrase, str) and phrase for phrase in error.get("details", {"": "none"}).values())
    return error


REFUSED = {
    "INVALID_INPUT": ("PATCH", PATH, b"{", {}),
    "PRECONDITION_FAILED": ("PATCH", PATH, b"{}", {"If-Match": '"stale"'}),
    "PAYLOAD_TOO_LARGE": ("PATCH", PATH, b" " * 20_000, {}),
    "UNKNOWN_NOTIFICATION_KEY": ("PATCH", PATH, b'{"fax": {}}', {}),
    "IMMUTABLE_NOTIFICATION_KEY": ("PATCH", PATH, b'{"email": {"security_alerts": false}}', {}),
    "VALIDATION_FAILED": ("GET", f"{HISTORY}?limit=0", b"", {}),
    "NOT_FOUND": ("GET", "/v1/me/nothing", b"", {}),
    "METHOD_NOT_ALLOWED": ("DELETE", PATH, b"", {}),
}


@pytest.mark.parametrize(("code", "request_parts"), REFUSED.items(), ids=REFUSED)
async def test_a_refusal_has_the_envelope(http, fresh_user, code: str, request_parts) -> None:
    method, path, body, more = request_parts
    response = await http.request(method, path, content=body, headers=bearer(fresh_user()) | more)
    assert_error(response, code)


async def test_refused_callers_get_the_envelope(http, api_key) -> None:
    for method, path in (("GET", PATH), ("PATCH", PATH), ("GET", HISTORY)):
        assert_error(await http.request(method, path), "UNAUTHORIZED")
        assert_error(await http.request(method, path, headers={"Authorization": f"Bearer {api_key}"}), "USER_REQUIRED")


async def test_answers_carry_an_id_of_their_own(http, fresh_user) -> None:
    headers = bearer(fresh_user())
    responses = [
        await http.get(PATH, headers=headers),
        await http.get(PATH, headers=headers | {"X-Request-Id": "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"}),
        await http.patch(PATH, content=DIGEST_ON, headers=headers),
        await http.get(PATH, headers=headers | {"If-None-Match": "*"}),
        await http.get(HISTORY, headers=headers),
        await http.get("/healthz"),
        await http.get("/readyz"),
        await http.get("/openapi.json"),
        await http.get("/docs"),
        await http.get("/docs/swagger-ui.css"),
    ]
    assert [response.status_code for response in responses] == [200, 200, 200, 304, *[200] * 6]
    for response in responses:
        assert_common(response)
    assert len({response.headers["x-request-id"] for response in responses}) == len(responses)
    assert all(response.headers["x-request-id"] != "01JTBQH2FZ8K1RXC0WJ4Z9P3VM" for response in responses)
    assert set(responses[0].json()) == {"success", "data"}
    assert responses[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/me",
        f"{PATH}/",
        f"{HISTORY}/",
        f"{PATH}/email",
        f"/{PATH}",
        PATH.upper(),
        "/v2/me/notifications",
        "/docs/",
        "/docs/swagger-ui.js",
        "/docs/../api/app.py",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/healthz/",
        "/redoc",
        "/favicon.ico",
        "/%00",
        "/%ff",
        "/" + "x" * 5000,
    ],
    ids=lambda path: path[:40],
)
async def test_an_unknown_path_is_not_found_whatever_the_method(server, path: str) -> None:
    # As bytes: a client would tidy the path up first.
    for method in ("GET", "PATCH", "POST", "DELETE", "OPTIONS"):
        answer = exchange(server.url, request_head(method, path, *bearer().items()))
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"], error["message"]) == (404, "NOT_FOUND", "not found")
        assert answer.headers["x-request-id"] == error["request_id"]
        if path.startswith("/v1"):
            assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (PATH, "GET, HEAD, PATCH"),
        (HISTORY, "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/docs/swagger-ui.css", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_ones_there_are(http, method: str, path: str, allowed: str) -> None:
    # With and without a token: it makes no difference what the path would have said.
    for headers in ({}, bearer()):
        response = await http.request(method, path, headers=headers)
        assert response.headers["allow"] == allowed
        assert_error(response, "METHOD_NOT_ALLOWED")


async def test_a_request_to_change_the_history_is_not_known(http) -> None:
    response = await http.patch(HISTORY, content=b"{}", headers=bearer())
    assert response.headers["allow"] == "GET, HEAD"
    assert_error(response, "METHOD_NOT_ALLOWED")


async def test_changes_are_limited_per_user_and_reads_are_not(serve: Callable[..., Server]) -> None:
    server = serve(change_rate_limit=3)
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        one, elsewhere, other = bearer("user_one"), bearer("user_one", "org_chess"), bearer("user_two")
        for headers in (one, other, elsewhere):
            answers = [await http.patch(PATH, content=DIGEST_ON, headers=headers) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            assert_error(answers[-1], "RATE_LIMITED")
            assert re.fullmatch(r"[1-9]\d*", answers[-1].headers["retry-after"])
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        for _ in range(10):
            assert (await http.get(PATH, headers=one)).status_code == 200
            assert (await http.get(HISTORY, headers=one)).status_code == 200
        # Who is refused for another reason is told that reason, and has spent nothing.
        assert_error(await http.patch(PATH, content=b"{", headers=one), "INVALID_INPUT")
        assert_error(await http.patch(PATH, content=DIGEST_ON), "UNAUTHORIZED")
        three = bearer("user_three")
        for _ in range(5):
            assert_error(await http.patch(PATH, content=b'{"fax": {}}', headers=three), "UNKNOWN_NOTIFICATION_KEY")
        assert (await http.patch(PATH, content=DIGEST_ON, headers=three)).status_code == 200


def in_process(failure: Exception) -> httpx.AsyncClient:
    """The application, whose store fails so, and whose callers are all known."""

    class Failing:
        def __getattr__(self, _: str) -> Any:
            async def fail(*_: Any, **__: Any) -> Any:
                raise failure

            return fail

    class Known:
        async def verify(self, _: str) -> UserSession:
            return UserSession("user_ada", "sess_1", "org_math", None, None, 0)

        def ready(self) -> bool:
            return True

    async def readiness() -> Any:
        raise failure

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield

    store: Any = Failing()
    clock = DatabaseClock()
    preferences = Preferences(store, iter(ulid_now, None), new_key)
    services = Services(
        catalogue=CATALOGUE,
        published=readiness,
        authenticator=Authenticator(Known(), store, {}),
        preferences=preferences,
        decisions=Decisions(store, clock, store.catalogue_held),
        history=History(store),
        users=Users(store, History(store), Readings(store, iter(ulid_now, None), clock), clock),
        audit_log=AuditLog(store, Readings(store, iter(ulid_now, None), clock)),
        audit_summary=AuditSummary(store, Readings(store, iter(ulid_now, None), clock), clock),
        evidence=UserEvidence(store, Readings(store, iter(ulid_now, None), clock)),
        reads=RecordOfReading(store, Readings(store, iter(ulid_now, None), clock)),
        feed=store,
        live_feed=LiveFeed(store, store, server_sent_events.encode, most_readers=1),
        feed_heartbeat=15,
        feed_send_within=20,
        readiness=readiness,
        followers=readiness,
        counted=list,
        checkpoint_interval=60,
        sweep_within=86_400,
        build={},
        swept=readiness,
        continuations=readiness,
        replication=readiness,
        signing=readiness,
        rate_limit=RateLimit(0),
        unsubscribing=Unsubscribing(preferences, CATALOGUE, clock, SealedTokens([LinkKey.parse(SECRET)]), None),
        unsubscribe_rate_limit=RateLimit(0),
        clock=clock,
        clock_offset=clock.offset,
    )
    application = app.create(services, lifespan, ulid_now, log_request=lambda *_: None)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("PATCH", PATH), ("GET", HISTORY), ("GET", "/readyz"), ("GET", "/metrics")]
)
async def test_an_error_that_nobody_foresaw_is_told_to_the_log_alone(method: str, path: str, capsys) -> None:
    async with in_process(RuntimeError("the password is swordfish")) as http:
        response = await http.request(method, path, content=DIGEST_ON, headers={"Authorization": "Bearer x"})
    assert_error(response, "INTERNAL")
    assert response.json() == {
        "success": False,
        "error": {"code": "INTERNAL", "message": "internal error", "request_id": response.headers["x-request-id"]},
    }
    assert "swordfish" not in str(response.headers)
    printed = capsys.readouterr()
    log = printed.out + printed.err
    assert "swordfish" in log
    assert "Traceback" in log
    assert response.headers["x-request-id"] in log


async def test_an_unforeseen_error_while_a_key_is_looked_up_is_no_different() -> None:
    async with in_process(RuntimeError("swordfish")) as http:
        response = await http.get(PATH, headers={"Authorization": "Bearer am_live_oc01" + "x" * 32})
    assert_error(response, "INTERNAL")


async def test_an_error_that_nobody_foresaw_is_logged_without_the_link_that_it_happened_to(capsys) -> None:
    async with in_process(RuntimeError("the password is swordfish")) as http:
        response = await http.post(link(), data=ONE_CLICK)
    assert response.status_code == 500
    printed = capsys.readouterr()
    assert "path=/unsubscribe/{token}" in printed.out + printed.err
    assert token() not in printed.out + printed.err


async def test_a_missing_scope_has_the_envelope_too() -> None:
    async with in_process(MissingScope()) as http:
        assert_error(await http.get(PATH, headers={"Authorization": "Bearer x"}), "FORBIDDEN")


async def test_without_its_database_the_service_says_so_at_once_and_comes_back_by_itself(ready_cluster, folder) -> None:
    with EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres:
        await publish(postgres.url)
        with Server(postgres.url) as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
                headers = bearer()
                assert (await http.patch(PATH, content=DIGEST_ON, headers=headers)).status_code == 200
                key = {"Authorization": "Bearer am_live_oc01" + "x" * 32}

                postgres.stop()
                for method, path, caller in (
                    ("GET", PATH, headers),
                    ("PATCH", PATH, headers),
                    ("GET", HISTORY, headers),
                    ("GET", PATH, key),
                ):
                    began = time.monotonic()
                    response = await http.request(
                        method, path, content=b'{"email": {"product_updates": false}}', headers=caller
                    )
                    assert time.monotonic() - began < 1
                    assert_error(response, "UNAVAILABLE")
                    assert re.fullmatch(r"[1-9]\d*", response.headers["retry-after"])
                # What needs no database is answered as ever.
                assert_error(await http.get(PATH), "UNAUTHORIZED")
                assert_error(await http.patch(PATH, content=b"{", headers=headers), "INVALID_INPUT")
                assert (await http.get("/healthz")).status_code == 200
                ready = await http.get("/readyz")
                assert (ready.status_code, ready.json()["error"]["code"]) == (503, "UNAVAILABLE")
                assert int(ready.headers["retry-after"]) >= 1
                assert_common(ready)

                postgres.start()
                deadline = time.monotonic() + 5
                while (response := await http.get(PATH, headers=headers)).status_code == 503:
                    assert time.monotonic() < deadline
                assert response.json()["data"] == answered(weekly_usage_digest=True)


def test_a_client_that_goes_away_in_the_middle_is_no_error_of_ours(serve: Callable[..., Server]) -> None:
    server = serve()
    head = request_head("PATCH", PATH, *bearer().items(), ("Content-Length", "100"))
    with pytest.raises(TimeoutError):
        exchange(server.url, head + b"{", patience=0.2)
    until(lambda: b'"method":"PATCH"' in server.log())
    server.stop()
    assert b"Traceback" not in server.log()
    assert b'"level":"error"' not in server.log()
