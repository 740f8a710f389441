"""Questions about a user: which are refused, and which users can be named."""

from collections.abc import Callable

import httpx
import pytest

from infrastructure.identity.api_keys import PostgresApiKeys
from tests.support.catalogues import publish
from tests.support.patient_database import patient_database
from tests.support.server import Server
from tests.support.tokens import bearer
from tests.support.user_questions import ADMIN, SLASHES, assert_refused, path_of

NO_ZONE = {"as_of": "must be a date and time with a zone, as in RFC 3339"}


@pytest.mark.parametrize("suffix", ["", "/history"])
@pytest.mark.parametrize("query_string", ["", "?as_of=x&include=x&limit=0&cursor=x"])
async def test_the_scope_is_asked_for_before_anything_else(http, server, suffix: str, query_string: str) -> None:
    url = path_of("user_ada") + suffix + query_string
    async with patient_database(server.database_url, size=1) as database:
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
