"""POST /v1/decisions: who may be written to, and who may ask."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from ulid_transform import ulid_now

from application.erasure import Erasure
from domain.catalogue import CATALOGUE, Catalogue
from domain.preferences import stream_id
from domain.send_question import NAME_PHRASE
from infrastructure.erasure.erasure import PostgresErasures
from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.postgres.database_clock import DatabaseClock
from tests.support.catalogues import publish
from tests.support.eventually import until
from tests.support.links import ONE_CLICK, PUBLIC_URL, token
from tests.support.patient_database import patient_database
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

DECISIONS = "/v1/decisions"
Ask = Callable[..., Any]


@pytest.fixture
def key(server: Server) -> Callable[..., Any]:
    """Makes a key, of an organization or of the platform; the headers that it is sent in."""

    async def make(organization: str | None = "org_math", *scopes: str) -> dict[str, str]:
        async with patient_database(server.database_url) as database:
            made = await PostgresApiKeys(database).create(organization, "sender", scopes or ["preferences:read"])
        return {"Authorization": f"Bearer {made}"}

    return make


@pytest.fixture
async def sender(key) -> dict[str, str]:
    return await key()


@pytest.fixture
def change(http) -> Callable[..., Any]:
    async def make(user: str, organization: str | None = "org_math", **values: bool) -> None:
        response = await http.patch(PATH, json={"email": values}, headers=bearer(user, organization))
        assert response.status_code == 200

    return make


@pytest.fixture
def ask(http, sender) -> Ask:
    async def post(*users: str, headers: dict[str, str] = sender, **fields: Any) -> dict[str, Any]:
        body = {"channel": "email", "toggle": "product_updates", "users": users, **fields}
        response = await http.post(DECISIONS, json=body, headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "private, no-cache"
        document = response.json()
        assert set(document) == {"success", "data"}
        return document["data"]

    return post


def refused(response: httpx.Response) -> tuple[int, str, dict[str, str]]:
    error = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["code"], error.get("details", {})


async def test_each_user_is_answered_in_the_order_asked_with_what_proves_it(change, ask, query, fresh_user) -> None:
    on, off, new = (fresh_user() for _ in range(3))
    await change(on, product_updates=True)
    await change(off, product_updates=False, billing_receipts=False)
    answer = await ask(off, new, on, off)
    places = dict(query("SELECT originator_id, max(notification_id) FROM preferences_events GROUP BY 1"))
    of = {user: places.get(stream_id("org_math", user)) for user in (on, off, new)}
    assert answer["decisions"] == [
        {"user": off, "allowed": False, "reason": "choice", "version": 3, "position": of[off]},
        {"user": new, "allowed": True, "reason": "default", "version": 0, "position": None},
        {"user": on, "allowed": True, "reason": "choice", "version": 2, "position": of[on]},
        {"user": off, "allowed": False, "reason": "choice", "version": 3, "position": of[off]},
    ]
    del answer["decisions"]
    decided_at = answer.pop("decided_at")
    assert decided_at.endswith("Z")
    assert answer == {
        "channel": "email",
        "toggle": "product_updates",
        "catalogue_version": CATALOGUE.version,
        "position": max(places.values()),
    }


async def test_a_choice_about_something_else_leaves_the_default_and_shows_in_the_version(
    change, ask, fresh_user
) -> None:
    user = fresh_user()
    await change(user, billing_receipts=False)
    [decision] = (await ask(user, toggle="weekly_usage_digest"))["decisions"]
    assert (decision["allowed"], decision["reason"], decision["version"]) == (False, "default", 2)


async def test_what_is_mandatory_is_always_allowed(change, ask, fresh_user) -> None:
    user, other = fresh_user(), fresh_user()
    await change(user, product_updates=False)
    found = (await ask(user, other, toggle="security_alerts"))["decisions"]
    assert [(one["allowed"], one["reason"], one["version"]) for one in found] == [
        (True, "mandatory", 2),
        (True, "mandatory", 0),
    ]


async def test_a_change_that_was_acknowledged_decides_at_once(change, ask, fresh_user) -> None:
    user = fresh_user()
    for enabled in (False, True, False):
        await change(user, product_updates=enabled)
        assert (await ask(user))["decisions"][0]["allowed"] is enabled


async def test_a_decision_is_what_the_user_is_told(change, ask, http, fresh_user) -> None:
    users = [fresh_user() for _ in range(16)]
    names = [toggle.name for toggle in CATALOGUE.channels[0].visible]
    for number, user in enumerate(users):
        chosen = {name: bool(number >> at & 1) for at, name in enumerate(names) if (number + at) % 3}
        await change(user, **chosen)
    users.append(fresh_user())
    for toggle in names:
        decided = {one["user"]: one["allowed"] for one in (await ask(*users, toggle=toggle))["decisions"]}
        for user in users:
            told = (await http.get(PATH, headers=bearer(user))).json()["data"]
            assert decided[user] is told["email"][toggle]


async def test_each_user_who_may_be_written_to_comes_with_the_headers_of_the_message(
    change, ask, http, fresh_user
) -> None:
    on, off = fresh_user(), fresh_user()
    await change(off, product_updates=False)
    allowed, refused = (await ask(on, off, unsubscribe=True))["decisions"]
    assert refused.keys() == {"user", "allowed", "reason", "version", "position"}
    assert allowed["list_unsubscribe"] == f"<{PUBLIC_URL}/unsubscribe/{token(on)}>"
    assert allowed["list_unsubscribe_post"] == "List-Unsubscribe=One-Click"
    assert allowed["list_id"] == "Product updates <product_updates.email.mail.example.com>"
    # Without being asked for there are none, and what is always sent has none.
    for fields in ({}, {"unsubscribe": False}, {"unsubscribe": True, "toggle": "security_alerts"}):
        [decision] = (await ask(on, **fields))["decisions"]
        assert decision.keys() == {"user", "allowed", "reason", "version", "position"}
    # And a click on it stops the next message.
    link = allowed["list_unsubscribe"].strip("<>").removeprefix(PUBLIC_URL)
    assert (await http.post(link, data=ONE_CLICK)).status_code == 200
    assert [one["allowed"] for one in (await ask(on, off, unsubscribe=True))["decisions"]] == [False, False]


async def test_the_platform_makes_links_for_every_organization(ask, key, fresh_user) -> None:
    platform, user = await key(None), fresh_user()
    for organization in ("org_chess", None):
        [decision] = (await ask(user, headers=platform, organization=organization, unsubscribe=True))["decisions"]
        assert decision["list_unsubscribe"] == f"<{PUBLIC_URL}/unsubscribe/{token(user, organization)}>"


async def test_ten_thousand_users_are_decided_at_once(change, ask, fresh_user) -> None:
    off = [fresh_user() for _ in range(5)]
    for user in off:
        await change(user, product_updates=False)
    users = [f"user_nobody_{number}" for number in range(10_000)]
    users[0], users[999], users[1000], users[5555], users[9999] = off
    found = (await ask(*users))["decisions"]
    assert [one["user"] for one in found] == users
    assert [one["user"] for one in found if not one["allowed"]] == off


async def test_an_erased_users_opt_out_stays_in_force(change, ask, server, fresh_user) -> None:
    user = fresh_user()
    await change(user, product_updates=False)
    async with patient_database(server.database_url) as database:
        erasure = Erasure(PostgresErasures(database), CATALOGUE, iter(ulid_now, None), DatabaseClock())
        assert (await erasure.erase("org_math", user)).destroyed
    [decision] = (await ask(user))["decisions"]
    assert (decision["allowed"], decision["reason"], decision["version"]) == (False, "choice", 3)


async def test_another_organizations_users_are_as_if_they_had_never_chosen(change, ask, key, fresh_user) -> None:
    user = fresh_user()
    await change(user, "org_chess", product_updates=False)
    await change(user, None, product_updates=False)
    never = {"user": user, "allowed": True, "reason": "default", "version": 0, "position": None}
    assert (await ask(user))["decisions"] == [never]
    assert (await ask(user, organization="org_math"))["decisions"] == [never]
    [decision] = (await ask(user, headers=await key("org_chess")))["decisions"]
    assert decision["allowed"] is False


async def test_a_key_of_the_platform_names_whose_users_it_means(change, ask, key, fresh_user) -> None:
    platform = await key(None)
    user, alone = fresh_user(), fresh_user()
    await change(user, "org_chess", product_updates=False)
    await change(alone, None, product_updates=False)
    for organization, expected in (("org_chess", [False, True]), (None, [True, False]), ("org_none", [True, True])):
        found = (await ask(user, alone, headers=platform, organization=organization))["decisions"]
        assert [one["allowed"] for one in found] == expected


async def test_a_release_that_is_started_before_its_catalogue_is_published_decides_nothing(
    serve, database_url: str
) -> None:
    await publish(database_url, Catalogue(CATALOGUE.version - 1, CATALOGUE.channels))
    server = serve(role_scopes="admin=preferences:read")
    asking = {
        "json": {"channel": "email", "toggle": "product_updates", "users": ["user_ada"]},
        "headers": bearer("user_grace", role="admin"),
    }
    async with httpx.AsyncClient(base_url=server.url) as http:
        response = await http.post(DECISIONS, **asking)
        assert refused(response) == (503, "UNAVAILABLE", {})
        assert response.headers["retry-after"] == "1"
        until(lambda: b"this release's catalogue is not published" in server.log())
        # Once it is published, then what was decided is later than that.
        await publish(database_url)
        answer = (await http.post(DECISIONS, **asking)).json()["data"]
    with psycopg.connect(database_url) as connection:
        [(published_at,)] = connection.execute("SELECT max(notification_id) FROM preferences_events").fetchall()
    assert (answer["catalogue_version"], answer["position"]) == (CATALOGUE.version, published_at)


async def test_a_session_whose_role_has_the_scope_may_ask(ask, change, fresh_user) -> None:
    user = fresh_user()
    await change(user, product_updates=False)
    [decision] = (await ask(user, headers=bearer("user_grace", role="admin")))["decisions"]
    assert decision["allowed"] is False


@pytest.mark.parametrize(
    "body", [b'{"channel": "email", "toggle": "product_updates", "users": ["user_ada"]}', b"{", b""]
)
async def test_who_may_not_ask_is_told_so_before_the_body_is_looked_at(http, key, body: bytes) -> None:
    assert refused(await http.post(DECISIONS, content=body))[:2] == (401, "UNAUTHORIZED")
    assert refused(await http.post(DECISIONS, content=body, headers=bearer()))[:2] == (403, "FORBIDDEN")
    no_organization = bearer("user_ada", None, role="admin")
    assert refused(await http.post(DECISIONS, content=body, headers=no_organization))[:2] == (403, "FORBIDDEN")
    other = await key("org_math", "audit:read")
    assert refused(await http.post(DECISIONS, content=body, headers=other))[:2] == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("change", "code", "details"),
    [
        ({"channel": "sms"}, "UNKNOWN_NOTIFICATION_KEY", {"channel": "unknown channel"}),
        ({"toggle": "product_news"}, "UNKNOWN_NOTIFICATION_KEY", {"toggle": "unknown toggle"}),
        ({"users": []}, "VALIDATION_FAILED", {"users": "must have 1 to 10000 entries"}),
        ({"users": ["user_ada"] * 10_001}, "VALIDATION_FAILED", {"users": "must have 1 to 10000 entries"}),
        ({"users": ["user_ada", 7, ""]}, "VALIDATION_FAILED", {"users.1": "must be a string", "users.2": NAME_PHRASE}),
        ({"users": None}, "VALIDATION_FAILED", {"users": "must be a list"}),
        ({"organization": "org_chess"}, "VALIDATION_FAILED", {"organization": "must be your own"}),
        ({"user": "user_ada"}, "VALIDATION_FAILED", {"user": "unknown field"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_a_wrong_question_is_refused_and_says_where(http, sender, change: Any, code: str, details: Any) -> None:
    body = {"channel": "email", "toggle": "product_updates", "users": ["user_ada"], **change}
    assert refused(await http.post(DECISIONS, json=body, headers=sender)) == (422, code, details)


async def test_a_key_of_the_platform_that_names_no_organization_is_refused(http, key) -> None:
    body = {"channel": "email", "toggle": "product_updates", "users": ["user_ada"]}
    details = {"organization": "is required of a key of the platform"}
    response = await http.post(DECISIONS, json=body, headers=await key(None))
    assert refused(response) == (422, "VALIDATION_FAILED", details)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"channel": "email"} x',
        b'{"channel": "email", "channel": "email", "toggle": "product_updates", "users": ["user_ada"]}',
        b'{"channel": "\xff"}',
        b'{"users": NaN}',
    ],
)
async def test_what_is_not_strict_json_is_refused_as_elsewhere(http, sender, body: bytes) -> None:
    assert refused(await http.post(DECISIONS, content=body, headers=sender)) == (400, "INVALID_INPUT", {})


async def test_a_body_has_a_mebibyte_at_most(http, sender) -> None:
    users = [f"user_{number:088}" for number in range(10_000)]
    body = json.dumps({"channel": "email", "toggle": "product_updates", "users": users}).encode()
    padded = body.ljust(1024 * 1024)
    assert len(body) < len(padded)
    assert (await http.post(DECISIONS, content=padded, headers=sender)).status_code == 200
    response = await http.post(DECISIONS, content=padded + b" ", headers=sender)
    assert refused(response) == (413, "PAYLOAD_TOO_LARGE", {})


async def test_only_post_is_known(http, sender) -> None:
    response = await http.get(DECISIONS, headers=sender)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
