"""What others are told of a user: at any point in time, with reasons, in their own organization alone."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle
from domain.preferences import stream_id
from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.postgres import migrations
from infrastructure.postgres.database import Database
from tests.support.catalogues import publish
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
ADMIN = bearer("user_grace", role="admin")
DEFAULTS = CATALOGUE.resolve({})
NO_ZONE = {"as_of": "must be a date and time with a zone, as in RFC 3339"}


def path_of(user: str) -> str:
    return f"/v1/users/{quote(user, safe='')}/notifications"


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.fixture
def change(http):
    async def make(user: str, organization: str | None = "org_math", **values: bool) -> httpx.Response:
        body = json.dumps({"email": values}).encode()
        response = await http.patch(PATH, content=body, headers=bearer(user, organization))
        assert response.status_code == 200
        return response

    return make


@pytest.fixture
def look(http):
    async def read(user: str, headers: dict[str, str] = ADMIN, **parameters: str) -> dict[str, Any]:
        response = await http.get(path_of(user), params=parameters, headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "private, no-cache"
        body = response.json()
        assert set(body) == {"success", "data"}
        return body["data"]

    return read


async def test_without_an_instant_it_is_what_the_user_is_answered_now(change, look, http, fresh_user) -> None:
    user = fresh_user()
    for values in ({}, {"weekly_usage_digest": True}, {"product_updates": False, "weekly_usage_digest": False}):
        await change(user, **values)
        before = datetime.now(UTC)
        seen = await look(user)
        assert seen["notifications"] == (await http.get(PATH, headers=bearer(user))).json()["data"]
        assert before <= datetime.fromisoformat(seen["as_of"]) <= datetime.now(UTC)
    assert seen == {
        "user_id": user,
        "as_of": seen["as_of"],
        "catalogue_version": CATALOGUE.version,
        "version": 4,
        "notifications": {"email": {**DEFAULTS["email"], "product_updates": False, "weekly_usage_digest": False}},
    }
    assert seen["as_of"].endswith("Z")


async def test_each_moment_of_the_past_is_told_as_it_was(change, look, fresh_user) -> None:
    user = fresh_user()
    moments = [(now(), DEFAULTS)]
    for number in range(4):
        response = await change(user, weekly_usage_digest=number % 2 == 0, product_updates=number > 1)
        moments.append((now(), response.json()["data"]))
    for instant, answered in moments:
        assert (await look(user, as_of=instant))["notifications"] == answered


async def test_the_instant_may_be_told_in_any_zone(change, look, fresh_user) -> None:
    user = fresh_user()
    before = datetime.now(UTC)
    await change(user, product_updates=False)
    for hours in (-11, 0, 5.5, 14):
        seen = await look(user, as_of=before.astimezone(timezone(timedelta(hours=hours))).isoformat())
        assert (seen["version"], seen["notifications"]) == (0, DEFAULTS)
        assert datetime.fromisoformat(seen["as_of"]) == before


async def test_an_explanation_names_the_event_or_the_default(change, look, http, fresh_user) -> None:
    user = fresh_user()
    response = await change(user, weekly_usage_digest=True, product_updates=True)
    [digest] = (
        entry
        for entry in (await http.get(f"{PATH}/history", headers=bearer(user))).json()["data"]
        if entry["toggle"] == "weekly_usage_digest"
    )
    seen = await look(user, include="explain")
    explained = seen["explain"]["email"]
    assert {name: of["enabled"] for name, of in explained.items()} == seen["notifications"]["email"]
    assert {name: of["decided_by"] for name, of in explained.items()} == {
        "product_updates": "choice",
        "delivery_alerts": "default",
        "billing_receipts": "default",
        "weekly_usage_digest": "choice",
    }
    alerts = CATALOGUE.toggle("email", "delivery_alerts")
    assert alerts is not None
    words = {"title": alerts.title, "description": alerts.description}
    assert explained["delivery_alerts"] == {"enabled": True, "decided_by": "default", "event": None, "words": words}
    event = explained["weekly_usage_digest"]["event"]
    assert event == {
        "id": digest["id"],
        "occurred_at": digest["occurred_at"],
        "version": 2,
        "actor": {"kind": "customer", "label": user},
        "source": "dashboard",
        "request_id": response.headers["x-request-id"],
        "catalogue_version": CATALOGUE.version,
    }
    # Each toggle is told in the words that the user was shown.
    seen = (await look(user, include="explain"))["explain"]["email"]
    for toggle in CATALOGUE.channels[0].visible:
        assert seen[toggle.name]["words"] == {"title": toggle.title, "description": toggle.description}
    # A choice that was taken back is decided by the last one.
    await change(user, weekly_usage_digest=False)
    assert (await look(user, include="explain"))["explain"]["email"]["weekly_usage_digest"]["event"]["version"] == 4
    again = await look(user, include="explain", as_of=digest["occurred_at"])
    assert again["explain"]["email"]["weekly_usage_digest"]["event"] == event


async def test_staff_who_acted_in_a_users_name_are_shown_as_staff(http, look, fresh_user) -> None:
    user = fresh_user()
    staff = bearer(user, act={"sub": "user_staff"})
    await http.patch(PATH, content=b'{"email": {"product_updates": false}}', headers=staff)
    event = (await look(user, include="explain"))["explain"]["email"]["product_updates"]["event"]
    assert event["actor"] == {"kind": "platform", "label": "support"}


async def test_after_an_erasure_the_choices_are_told_and_nobody_is_named(
    server, http, change, look, fresh_user
) -> None:
    user = fresh_user()
    await change(user, product_updates=False)
    with psycopg.connect(server.database_url) as connection:
        connection.execute("DELETE FROM person_keys WHERE originator_id = %s", [stream_id("org_math", user)])
    seen = await look(user, include="explain")
    assert seen["notifications"]["email"]["product_updates"] is False
    told = seen["explain"]["email"]["product_updates"]
    assert (told["decided_by"], told["event"]["actor"]) == ("choice", {"kind": "customer", "label": "erased"})
    [entry] = (await http.get(f"{path_of(user)}/history", headers=ADMIN)).json()["data"]
    assert entry["actor"] == told["event"]["actor"]


async def test_who_never_chose_gets_the_defaults_and_so_does_who_does_not_exist(look, fresh_user, query) -> None:
    before = query("SELECT count(*) FROM preferences_events")
    for user in (fresh_user(), "user_nobody", "x", "!" * 255, "100%"):
        seen = await look(user, include="explain")
        assert (seen["user_id"], seen["version"], seen["notifications"]) == (user, 0, DEFAULTS)
        assert {of["decided_by"] for of in seen["explain"]["email"].values()} == {"default"}
    assert query("SELECT count(*) FROM preferences_events") == before


async def test_another_organizations_choices_are_never_visible(change, look, http, fresh_user) -> None:
    user = fresh_user()
    await change(user, "org_math", product_updates=False)
    await change(user, None, billing_receipts=False)
    elsewhere = bearer("user_eve", "org_chess", role="admin")
    assert (await look(user, elsewhere))["notifications"] == DEFAULTS
    assert (await look(user, elsewhere, include="explain"))["version"] == 0
    assert (await look(user))["notifications"]["email"]["billing_receipts"] is True
    for headers, toggles in ((elsewhere, []), (ADMIN, ["product_updates"])):
        page = (await http.get(f"{path_of(user)}/history", headers=headers)).json()
        assert [entry["toggle"] for entry in page["data"]] == toggles
    # Not with its name smuggled into the user's either.
    for smuggled in (f'org_math","{user}', f'["org_math","{user}"]', str(stream_id("org_math", user))):
        assert (await look(smuggled, elsewhere))["notifications"] == DEFAULTS


@pytest.mark.parametrize("suffix", ["", "/history"])
@pytest.mark.parametrize("query_string", ["", "?as_of=x&include=x&limit=0&cursor=x"])
async def test_the_scope_is_asked_for_before_anything_else(http, server, suffix: str, query_string: str) -> None:
    url = path_of("user_ada") + suffix + query_string
    async with Database(server.database_url, size=1) as database:
        keys = PostgresApiKeys(database)
        platform = await keys.create(None, "platform", ["audit:read"])
        other = await keys.create("org_math", "other", ["events:read"])
    assert (await http.get(url)).status_code == 401
    for headers in (
        bearer("user_ada"),
        bearer("user_ada", role="auditor"),
        bearer("user_ada", None),
        {"Authorization": f"Bearer {platform}"},
        {"Authorization": f"Bearer {other}"},
    ):
        response = await http.get(url, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_key_sees_what_an_admin_sees(http, api_key, change, look, fresh_user) -> None:
    user = fresh_user()
    await change(user, product_updates=False)
    key = {"Authorization": f"Bearer {api_key}"}
    assert (await look(user, key))["notifications"] == (await look(user))["notifications"]
    assert (await http.get(f"{path_of(user)}/history", headers=key)).status_code == 200


async def test_the_scopes_of_roles_are_a_setting(serve: Callable[..., Server]) -> None:
    server = serve(role_scopes="auditor=audit:read")
    await publish(server.database_url)
    async with httpx.AsyncClient(base_url=server.url) as http:
        for role, status in (("auditor", 200), ("admin", 403)):
            response = await http.get(path_of("user_ada"), headers=bearer("user_grace", role=role))
            assert response.status_code == status


@pytest.mark.parametrize(
    ("parameters", "details"),
    [
        ({"as_of": "2026-03-03T12:00:00"}, NO_ZONE),
        ({"as_of": "2026-03-03"}, NO_ZONE),
        ({"as_of": "1772539200"}, NO_ZONE),
        ({"as_of": ""}, NO_ZONE),
        ({"as_of": "null"}, NO_ZONE),
        ({"as_of": "2026-02-30T12:00:00Z"}, NO_ZONE),
        ({"as_of": "0001-01-01T00:00:00+10:00"}, NO_ZONE),
        ({"as_of": "2999-01-01T00:00:00Z"}, {"as_of": "must not be in the future"}),
        ({"include": "payload"}, {"include": "must be 'explain'"}),
        ({"include": ""}, {"include": "must be 'explain'"}),
        ({"include": "x", "as_of": "x"}, {"include": "must be 'explain'"} | NO_ZONE),
    ],
    ids=str,
)
async def test_a_bad_query_is_named(http, parameters: dict[str, str], details: dict[str, str]) -> None:
    response = await http.get(path_of("user_ada"), params=parameters, headers=ADMIN)
    assert_refused(response, details)


INSTANT = "2026-03-03T12:00:00Z"


@pytest.mark.parametrize(
    ("suffix", "query_string", "details"),
    [
        ("", f"asof={INSTANT}", {"asof": "unknown parameter"}),
        ("", f"as_of={INSTANT}&as_of=2026-03-04T12:00:00Z", {"as_of": "must be given once"}),
        ("", "include=explain&include=explain", {"include": "must be given once"}),
        ("", f"as_of={INSTANT}&limit=1", {"limit": "unknown parameter"}),
        ("/history", f"as_of={INSTANT}", {"as_of": "unknown parameter"}),
        ("/history", "limit=1&limit=2&Cursor=x", {"limit": "must be given once", "Cursor": "unknown parameter"}),
    ],
)
async def test_what_is_asked_by_mistake_is_no_answer(http, query, suffix, query_string, details) -> None:
    before = query("SELECT count(*) FROM audit_reads")
    assert_refused(await http.get(f"{path_of('user_ada')}{suffix}?{query_string}", headers=ADMIN), details)
    assert query("SELECT count(*) FROM audit_reads") == before


@pytest.mark.parametrize("suffix", ["", "/history"])
@pytest.mark.parametrize("user", ["", "user ada", "ü", "\0", "x" * 256], ids=repr)
async def test_what_can_not_be_a_user_is_named(http, user: str, suffix: str) -> None:
    response = await http.get(path_of(user) + suffix, headers=ADMIN)
    assert response.status_code == 422
    assert set(response.json()["error"]["details"]) == {"user_id"}


@pytest.mark.parametrize("suffix", ["", "/history"])
async def test_a_path_with_a_line_feed_leads_nowhere(http, suffix: str) -> None:
    response = await http.get(path_of("user_\n") + suffix, headers=ADMIN)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


SLASHES = ["{}/b", "{}//b", "{}/", "{}/notifications", "{}/notifications/history", "{}/?#%2F"]


@pytest.mark.parametrize("form", SLASHES)
async def test_a_user_whose_id_has_slashes_is_asked_about_like_any_other(http, change, look, fresh_user, form) -> None:
    # Given a user whose id is that of another user with slashes around it, and who has made a choice
    other = fresh_user()
    user = form.format(other)
    await change(user, weekly_usage_digest=True)
    # when the user is asked about with the id encoded, then the choice is found,
    found = await look(user)
    assert (found["user_id"], found["version"]) == (user, 2)
    history = await http.get(f"{path_of(user)}/history", headers=ADMIN)
    assert history.status_code == 200
    assert [entry["toggle"] for entry in history.json()["data"]] == ["weekly_usage_digest"]
    assert history.json()["data"][0]["actor"]["label"] == user
    # and not with the other user's id.
    assert (await look(other))["version"] == 0


async def test_a_slash_may_also_come_as_it_is(http, change, fresh_user) -> None:
    # A proxy that rewrites paths decodes `%2F`.
    user = f"{fresh_user()}/b"
    await change(user, weekly_usage_digest=True)
    response = await http.get(f"/v1/users/{user}/notifications", headers=ADMIN)
    assert (response.json()["data"]["user_id"], response.json()["data"]["version"]) == (user, 2)


async def test_the_earliest_instant_is_an_instant(look) -> None:
    assert (await look("user_ada", as_of="0001-01-01T00:00:00Z"))["notifications"] == DEFAULTS


async def test_a_users_history_is_the_one_that_the_user_reads(http, change, fresh_user) -> None:
    user = fresh_user()
    for number in range(7):
        await change(user, weekly_usage_digest=number % 2 == 0)
    own, of_user = f"{PATH}/history", f"{path_of(user)}/history"
    assert (await http.get(of_user, headers=ADMIN)).json() == (await http.get(own, headers=bearer(user))).json()
    seen, parameters = [], {"limit": "3"}
    while True:
        page = (await http.get(of_user, params=parameters, headers=ADMIN)).json()
        assert page == (await http.get(own, params=parameters, headers=bearer(user))).json()
        seen += page["data"]
        if page["meta"]["next_cursor"] is None:
            break
        parameters["cursor"] = page["meta"]["next_cursor"]
    assert len(seen) == 7


async def test_a_cursor_of_another_users_history_is_refused(http, change, fresh_user) -> None:
    one, other = fresh_user(), fresh_user()
    for user in (one, other):
        await change(user, weekly_usage_digest=True)
        await change(user, weekly_usage_digest=False)
    page = (await http.get(f"{path_of(one)}/history", params={"limit": 1}, headers=ADMIN)).json()
    cursor = {"cursor": page["meta"]["next_cursor"]}
    for user, headers in ((other, ADMIN), (one, bearer("user_eve", "org_chess", role="admin"))):
        response = await http.get(f"{path_of(user)}/history", params=cursor, headers=headers)
        assert_refused(response, {"cursor": "must be one that this endpoint returned"})
    response = await http.get(f"{path_of(one)}/history", params={"limit": 201}, headers=ADMIN)
    assert_refused(response, {"limit": "must be less than or equal to 200"})


async def test_every_look_is_itself_recorded(http, look, change, fresh_user, query) -> None:
    user = fresh_user()
    await change(user, product_updates=False)
    await look(user, as_of="2026-03-03T12:00:00Z", include="explain")
    response = await http.get(f"{path_of(user)}/history", headers=ADMIN)
    recorded = query(
        "SELECT reader, action, filter, count, outcome, request_id FROM audit_reads "
        "WHERE filter ->> 'resource_stream' = %s ORDER BY id",
        [str(stream_id("org_math", user))],
    )
    assert [row[:2] + row[3:5] for row in recorded] == [
        ("user:user_grace", "user_preferences.read", 1, "complete"),
        ("user:user_grace", "user_history.read", 1, "complete"),
    ]
    assert recorded[0][2]["as_of"] == "2026-03-03T12:00:00+00:00"
    assert recorded[1][5] == response.headers["x-request-id"]
    assert user not in str(recorded)


async def test_a_look_that_takes_long_is_answered_and_nobody_else_waits_for_it(serve: Callable[..., Server]) -> None:
    server = serve()
    await publish(server.database_url)
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        with psycopg.connect(server.database_url) as connection:
            # Given a look that is under way for longer than anybody waits for their own preferences
            connection.execute("LOCK TABLE preferences_events IN ACCESS EXCLUSIVE MODE")
            looks = [asyncio.create_task(http.get(path_of("user_ada"), headers=ADMIN)) for _ in range(2)]
            _, waiting = await asyncio.wait(looks, timeout=1.5)
            assert len(waiting) == 2
            # when users ask for theirs
            connections = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = %s"
            )
            for name, held in (("preferences", 0), ("preferences audit", 2)):
                assert connection.execute(connections, [name]).fetchone() == (held,)
            assert (await http.get(PATH, headers=bearer("user_ada"))).status_code == 200
        # then it is answered nevertheless.
        for look in looks:
            assert (await look).json()["data"]["notifications"] == DEFAULTS


async def test_each_day_is_told_with_the_defaults_of_that_day(serve: Callable[..., Server]) -> None:
    """Two catalogues: one default changed, one toggle added, one removed, and users with and without choices of their own."""
    server = serve()
    email = CATALOGUE.channels[0]
    later = Catalogue(
        CATALOGUE.version + 1,
        (
            Channel(
                "email",
                (
                    *(t for t in email.toggles if t.name not in {"product_updates", "billing_receipts"}),
                    Toggle("product_updates", default=False),
                ),
            ),
            Channel("in_app", (Toggle("mentions", default=True),)),
        ),
    )
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:

        async def seen(user: str, instant: str | None = None) -> dict[str, Any]:
            parameters = {"include": "explain"} | ({"as_of": instant} if instant else {})
            response = await http.get(path_of(user), params=parameters, headers=ADMIN)
            assert response.status_code == 200, response.text
            return response.json()["data"]

        unpublished = await http.get(path_of("user_ada"), headers=ADMIN)
        assert (unpublished.status_code, unpublished.json()["error"]["code"]) == (503, "UNAVAILABLE")
        chose = b'{"email": {"product_updates": true, "billing_receipts": false}}'
        assert (await http.patch(PATH, content=chose, headers=bearer("user_ada"))).status_code == 200
        early = now()
        await publish(server.database_url)
        assert (await http.get("/readyz")).status_code == 200
        between = now()
        await publish(server.database_url, later)

        # What was recorded before the first publishing is told with the first catalogue.
        for instant in (early, between):
            data = await seen("user_ada", instant)
            assert data["catalogue_version"] == CATALOGUE.version
            assert data["notifications"]["email"]["product_updates"] is True
            assert data["notifications"]["email"]["billing_receipts"] is False
            assert set(data["notifications"]) == {"email"}
        # A choice outlives a changed default, and what left the catalogue is not shown.
        data = await seen("user_ada")
        assert data["catalogue_version"] == later.version
        assert data["notifications"] == {
            "email": {"delivery_alerts": True, "weekly_usage_digest": False, "product_updates": True},
            "in_app": {"mentions": True},
        }
        assert data["explain"]["email"]["product_updates"]["event"]["catalogue_version"] == CATALOGUE.version
        # Who never chose gets the default of the day.
        assert (await seen("user_bob", between))["notifications"]["email"]["product_updates"] is True
        assert (await seen("user_bob"))["notifications"]["email"]["product_updates"] is False
        # A release that is older than what is published still serves, with its own catalogue.
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get(PATH, headers=bearer("user_bob"))).json()["data"] == DEFAULTS


NEWEST = max(migration.number for migration in migrations.available())
OF_THE_NEXT_RELEASE = (
    "INSERT INTO schema_migrations (number, name, checksum, leaves_working) VALUES (9999, 'of_the_next', 'x', %s)"
)


async def test_a_release_that_is_older_than_the_schema_still_serves(serve: Callable[..., Server]) -> None:
    server = serve()
    await publish(server.database_url)
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        connection.execute(OF_THE_NEXT_RELEASE, [NEWEST])
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            assert (await http.get("/readyz")).json()["data"]["migrations"] == "ok"
            assert (await http.get(PATH, headers=bearer("user_bob"))).json()["data"] == DEFAULTS
            # One that lacks a migration of its own, or has another one in its place, doesn't.
            for statement, finding in (
                (
                    "UPDATE schema_migrations SET checksum = 'x' WHERE number = 2",
                    "was edited after it had been applied",
                ),
                ("DELETE FROM schema_migrations WHERE number = 2", "1 not applied: run `preferences migrate`"),
                (
                    "UPDATE schema_migrations SET leaves_working = 9999 WHERE number = 9999",
                    "only leaves releases working that have 9999",
                ),
                ("UPDATE schema_migrations SET leaves_working = NULL WHERE number = 9999", "too old to know it"),
            ):
                connection.execute(statement)
                response = await http.get("/readyz")
                assert response.status_code == 503
                assert finding in response.json()["error"]["details"]["migrations"]


async def test_a_release_whose_catalogue_is_not_published_is_not_ready(serve: Callable[..., Server]) -> None:
    server = serve()
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["error"]["details"]) == (
            503,
            {"catalogue": f"version {CATALOGUE.version} is not published: run `preferences migrate`"},
        )
        await publish(server.database_url)
        assert (await http.get("/readyz")).json()["data"]["catalogue"] == "ok"
    with psycopg.connect(server.database_url) as connection:
        connection.execute("TRUNCATE preferences_events")
    await publish(server.database_url, Catalogue(CATALOGUE.version, ()))
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        response = await http.get("/readyz")
        assert response.status_code == 503
        assert "with other content" in response.json()["error"]["details"]["catalogue"]


def assert_refused(response: Any, details: dict[str, str]) -> None:
    assert response.status_code == 422
    assert response.json() == {
        "success": False,
        "error": {
            "code": "VALIDATION_FAILED",
            "message": "validation failed",
            "details": details,
            "request_id": response.headers["x-request-id"],
        },
    }
