"""What others are told of a user: at any point in time, with reasons, in their own organization alone."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import httpx
import psycopg

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from tests.support.catalogues import publish
from tests.support.server import PATH, Server
from tests.support.tokens import bearer
from tests.support.user_questions import ADMIN, assert_refused, now, path_of

DEFAULTS = CATALOGUE.resolve({})


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


async def test_a_key_sees_what_an_admin_sees(http, api_key, change, look, fresh_user) -> None:
    user = fresh_user()
    await change(user, product_updates=False)
    key = {"Authorization": f"Bearer {api_key}"}
    assert (await look(user, key))["notifications"] == (await look(user))["notifications"]
    assert (await http.get(f"{path_of(user)}/history", headers=key)).status_code == 200


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
