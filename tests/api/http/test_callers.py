"""Who may call: 401, then 403, then the body; whose preferences are served; and what is written down of it."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.log.sealing import unseal
from tests.support.patient_database import patient_database
from tests.support.raw_http import RawAnswer, exchange, request_head
from tests.support.server import PATH, Server
from tests.support.tokens import ISSUER, bearer, private_key, public_pem, session_token

HISTORY = f"{PATH}/history"
DIGEST_ON = b'{"email": {"weekly_usage_digest": true}}'
OPERATIONS = [("GET", PATH), ("PATCH", PATH), ("GET", HISTORY)]
INVALID_TOKEN = 'Bearer error="invalid_token"'

# What would be refused for another reason if the caller were let in.
BAD_BODIES = [b"", b"{", b'{"fax": {}}', b" " * 20_000]


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"v": 2, "iss": ISSUER, "sub": "user_ada", "sid": "sess_1", "iat": now, "nbf": now - 10, "exp": now + 600}
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def signed(said: dict[str, Any], key: Any = None, **header: Any) -> str:
    headers = {"kid": "test", "cat": "cl_B7d4PD111AAA", **header}
    return jwt.encode(said, key or private_key(), algorithm="RS256", headers=headers)


def handmade(header: dict[str, Any], said: dict[str, Any], sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A token that no library would make."""

    def encode(part: bytes) -> bytes:
        return base64.urlsafe_b64encode(part).rstrip(b"=")

    signed_part = encode(json.dumps(header).encode()) + b"." + encode(json.dumps(said).encode())
    return (signed_part + b"." + encode(sign(signed_part))).decode()


def in_seconds(seconds: int) -> int:
    return int(time.time()) + seconds


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "no token at all": lambda: "nonsense",
    "three dots": lambda: "...",
    "two parts": lambda: session_token().rpartition(".")[0],
    "cut": lambda: session_token()[:-5],
    "alg none": lambda: handmade({"alg": "none", "typ": "JWT"}, claims()),
    "alg None, odd case": lambda: handmade({"alg": "nOnE"}, claims()),
    "HS256 with the public key": lambda: handmade(
        {"alg": "HS256", "typ": "JWT", "kid": "test"},
        claims(),
        lambda text: hmac.new(public_pem().encode(), text, hashlib.sha256).digest(),
    ),
    "another key under the right kid": lambda: signed(claims(), rsa.generate_private_key(65537, 2048)),
    "expired": lambda: signed(claims(exp=in_seconds(-60))),
    "not yet valid": lambda: signed(claims(nbf=in_seconds(60))),
    "without expiry": lambda: signed(claims(exp=None)),
    "without session": lambda: signed(claims(sid=None)),
    "another issuer": lambda: signed(claims(iss="https://clerk.elsewhere.example")),
    "machine": lambda: signed(claims(sub="mch_1")),
    "machine, by category": lambda: signed(claims(), cat="cl_B7d4PD333AAA"),
    "template": lambda: signed(claims(), cat="cl_B7d4PD222AAA"),
    "OAuth": lambda: signed(claims(), typ="at+jwt"),
    "pending": lambda: signed(claims(sts="pending")),
    "of an unknown API key": lambda: "am_live_oc01" + "x" * 32,
    "of a misshapen API key": lambda: "am_live_",
    "Clerk's machine token": lambda: "mt_" + "x" * 32,
    "longer than 8 KiB": lambda: "x" * 8193,
}

BAD_HEADERS = {
    "no header": (None, "Bearer"),
    "empty": ("", "Bearer"),
    "scheme alone": ("Bearer", "Bearer"),
    "scheme and a blank": ("Bearer ", "Bearer"),
    "another scheme": ("Basic dXNlcjpwYXNz", "Bearer"),
    "token without a scheme": (session_token(), "Bearer"),
    "no blank between": (f"Bearer{session_token()}", "Bearer"),
    "two tokens": (f"Bearer {session_token()} {session_token()}", INVALID_TOKEN),
    "a comma list": (f"Bearer {session_token()}, Bearer {session_token()}", INVALID_TOKEN),
    "bytes beyond ASCII": ("Bearer \xc3\xa9\xff", INVALID_TOKEN),
}


def assert_unauthorized(response: Any, challenge: str) -> None:
    body = response.json() if hasattr(response, "json") else json.loads(response.body)
    status = response.status_code if hasattr(response, "status_code") else response.status
    assert status == 401
    assert body == {
        "success": False,
        "error": {
            "code": "UNAUTHORIZED",
            "message": "authentication failed",
            "request_id": response.headers["x-request-id"],
        },
    }
    assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize(("header", "challenge"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_without_proper_credentials_nobody_is_served(server, method, path, header, challenge) -> None:
    headers = [] if header is None else [("Authorization", header)]
    for body in BAD_BODIES if method == "PATCH" else [b""]:
        head = request_head(method, path, *headers, ("Content-Length", str(len(body))))
        assert_unauthorized(exchange(server.url, head + body), challenge)


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS)
async def test_a_bad_token_is_refused_before_anything_else_is_looked_at(http, make) -> None:
    headers = {"Authorization": f"Bearer {make()}"}
    assert_unauthorized(await http.get(PATH, headers=headers), INVALID_TOKEN)
    assert_unauthorized(await http.get(f"{HISTORY}?limit=0&cursor=x", headers=headers), INVALID_TOKEN)
    for body in BAD_BODIES:
        assert_unauthorized(
            await http.patch(PATH, content=body, headers=headers | {"If-Match": '"stale"'}), INVALID_TOKEN
        )


async def test_a_refused_caller_records_nothing(http, query) -> None:
    before = query("SELECT count(*) FROM preferences_events")
    for make in BAD_TOKENS.values():
        await http.patch(PATH, content=DIGEST_ON, headers={"Authorization": f"Bearer {make()}"})
    assert query("SELECT count(*) FROM preferences_events") == before


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_is_known_in_any_case(http, scheme: str) -> None:
    response = await http.get(PATH, headers={"Authorization": f"{scheme} {session_token()}"})
    assert response.status_code == 200


async def test_several_blanks_before_the_token_are_one(http) -> None:
    response = await http.get(PATH, headers={"Authorization": f"Bearer   {session_token()}"})
    assert response.status_code == 200


@pytest.mark.parametrize("other", [None, "Basic dXNlcjpwYXNz", ""])
def test_two_authorization_headers_are_never_a_choice(server, other: str | None) -> None:
    good = f"Bearer {session_token()}"
    for pair in ((good, good if other is None else other), (good if other is None else other, good)):
        head = request_head("GET", PATH, *(("Authorization", value) for value in pair))
        assert_unauthorized(exchange(server.url, head), INVALID_TOKEN)


def test_a_megabyte_of_token_is_refused(server) -> None:
    began = time.monotonic()
    answer: RawAnswer = exchange(server.url, request_head("GET", PATH, ("Authorization", "Bearer " + "x" * (1 << 20))))
    assert time.monotonic() - began < 2
    assert 400 <= answer.status < 500
    if answer.status == 401:
        assert_unauthorized(answer, INVALID_TOKEN)
    assert exchange(server.url, request_head("GET", PATH, *bearer().items())).status == 200


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_an_api_key_is_somebody_but_no_user(http, api_key, query, method: str, path: str) -> None:
    before = query("SELECT count(*) FROM preferences_events")
    for body in (DIGEST_ON, *BAD_BODIES) if method == "PATCH" else [b""]:
        response = await http.request(method, path, content=body, headers={"Authorization": f"Bearer {api_key}"})
        assert response.status_code == 403
        assert response.json()["error"] == {
            "code": "USER_REQUIRED",
            "message": "endpoint requires a user session",
            "request_id": response.headers["x-request-id"],
        }
        assert "www-authenticate" not in response.headers
    assert query("SELECT count(*) FROM preferences_events") == before


async def test_a_key_that_differs_in_one_character_is_unknown(http, api_key) -> None:
    other = api_key[:-1] + ("a" if api_key[-1] != "a" else "b")
    assert_unauthorized(await http.get(PATH, headers={"Authorization": f"Bearer {other}"}), INVALID_TOKEN)


async def test_revoking_a_key_is_immediate_and_its_last_use_is_noted(http, server, query) -> None:
    async with patient_database(server.database_url, size=1) as database:
        keys = PostgresApiKeys(database)
        headers = {"Authorization": f"Bearer {await keys.create('org_revoked', 'to be revoked', ['audit:read'])}"}
        [listed] = await keys.list("org_revoked")
        assert listed.last_used_at is None

        assert (await http.get(PATH, headers=headers)).status_code == 403
        [listed] = await keys.list("org_revoked")
        assert listed.last_used_at is not None
        assert abs(listed.last_used_at.timestamp() - time.time()) < 5

        # A clock that is set back doesn't keep a later use from being noted.
        query("UPDATE api_keys SET last_used_at = now() + interval '3 days' WHERE id = %s RETURNING id", [listed.id])
        assert (await http.get(PATH, headers=headers)).status_code == 403
        [listed] = await keys.list("org_revoked")
        assert abs(listed.last_used_at.timestamp() - time.time()) < 5

        assert await keys.revoke(listed.id)
        assert_unauthorized(await http.get(PATH, headers=headers), INVALID_TOKEN)
        assert_unauthorized(await http.patch(PATH, content=b"{", headers=headers), INVALID_TOKEN)


async def digest(http, headers: dict[str, str]) -> bool:
    return (await http.get(PATH, headers=headers)).json()["data"]["email"]["weekly_usage_digest"]


async def test_each_organization_of_a_user_has_preferences_of_its_own(http, fresh_user, query) -> None:
    user = fresh_user()
    scopes = {name: bearer(user, name) for name in ("org_math", "org_chess", None)}
    for chosen, headers in scopes.items():
        assert await digest(http, headers) is False
        await http.patch(PATH, content=DIGEST_ON, headers=headers)
        assert await digest(http, headers) is True
        assert query("SELECT version FROM current_preferences WHERE originator_id = %s", [stream_id(chosen, user)]) == [
            (2,)
        ]
        others = [scopes[name] for name in scopes if list(scopes).index(name) > list(scopes).index(chosen)]
        assert [await digest(http, other) for other in others] == [False] * len(others)


async def test_users_of_one_organization_have_preferences_of_their_own(http, fresh_user) -> None:
    one, other = bearer(fresh_user()), bearer(fresh_user())
    await http.patch(PATH, content=DIGEST_ON, headers=one)
    assert (await digest(http, one), await digest(http, other)) == (True, False)


async def test_both_versions_of_claims_name_the_same_scope(http, fresh_user) -> None:
    user = fresh_user()
    old = {"org_id": "org_math", "org_slug": "math", "org_role": "org:admin", "org_permissions": []}
    first = {"Authorization": f"Bearer {signed(claims(v=None, sub=user, **old))}"}
    without = {"Authorization": f"Bearer {signed(claims(v=None, sub=user))}"}
    await http.patch(PATH, content=DIGEST_ON, headers=first)
    assert await digest(http, bearer(user, "org_math")) is True
    assert await digest(http, without) is False
    assert await digest(http, bearer(user, None)) is False


async def test_the_event_says_who_and_under_which_request(http, fresh_user, query) -> None:
    user = fresh_user()
    before = time.time()
    response = await http.patch(PATH, content=DIGEST_ON, headers=bearer(user))
    for event in recorded(query, user):
        assert event["actor"] == {"user": user, "session": f"sess_{user}"}
        assert event["request_id"] == response.headers["x-request-id"]
        assert event["organization"] == "org_math"
        assert event["source"] == "dashboard"
        assert event["catalogue_version"] == CATALOGUE.version
        assert before - 1 < occurred_at(event) < time.time() + 1


async def test_an_impersonator_is_recorded_by_name_and_shown_as_staff(http, fresh_user, query) -> None:
    user = fresh_user()
    headers = bearer(user, act={"iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": "user_staff"})
    await http.patch(PATH, content=DIGEST_ON, headers=headers)
    for event in recorded(query, user):
        assert event["actor"] == {"user": user, "session": f"sess_{user}", "impersonator": "user_staff"}
    page = await http.get(HISTORY, headers=bearer(user))
    [entry] = page.json()["data"]
    assert entry["actor"] == {"kind": "platform", "label": "support"}
    assert "user_staff" not in page.text


def test_only_tokens_for_an_audience_of_the_settings_come_in(serve: Callable[..., Server]) -> None:
    url = serve(clerk_audience="preferences-api,dashboard").url

    def status(**said: Any) -> int:
        return exchange(url, request_head("GET", PATH, *bearer(**said).items())).status

    assert [status(aud="dashboard"), status(aud=["other", "preferences-api"])] == [200, 200]
    assert [status(aud="other"), status(aud=["other"]), status()] == [401, 401, 401]


async def test_the_log_knows_requests_and_reasons_but_no_token(serve: Callable[..., Server]) -> None:
    server = serve(log_level="debug")
    async with patient_database(server.database_url, size=1) as database:
        key = await PostgresApiKeys(database).create("org_math", "logged", ["audit:read"])
    secrets = [session_token("user_logged"), key, *(make() for make in BAD_TOKENS.values() if len(make()) > 30)]
    ids = []
    for secret in secrets:
        head = request_head(
            "PATCH", PATH, ("Authorization", f"Bearer {secret}"), ("Content-Length", str(len(DIGEST_ON)))
        )
        ids.append(exchange(server.url, head + DIGEST_ON).headers["x-request-id"])
    await asyncio.to_thread(server.stop)

    log = server.log().decode()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    for secret in secrets:
        assert secret not in log
        assert not any(part in log for part in secret.split(".") if len(part) > 20)
    requests = {line["request_id"]: line for line in lines if line["event"] == "request"}
    assert [requests[request_id]["status"] for request_id in ids[:3]] == [200, 403, 401]
    assert all(requests[request_id]["path"] == PATH for request_id in ids)
    refused = {line["request_id"]: line["reason"] for line in lines if line["event"] == "refused"}
    assert "expired" in refused.values()
    assert set(ids[2:]) <= set(refused)
    assert "weekly_usage_digest" not in log


def recorded(query, user: str) -> list[dict[str, Any]]:
    rows = query(
        "SELECT state, sealed_actor, key FROM events_with_keys WHERE originator_id = %s ORDER BY originator_version",
        [stream_id("org_math", user)],
    )
    assert len(rows) == 2
    states = [(json.loads(state), sealed, key) for state, sealed, key in rows]
    return [{**state, "actor": unseal(sealed, key, state["event_id"])} for state, sealed, key in states]


def occurred_at(event: dict[str, Any]) -> float:
    stamp = event["timestamp"]
    return datetime.fromisoformat(stamp["_data_"] if isinstance(stamp, dict) else stamp).timestamp()
