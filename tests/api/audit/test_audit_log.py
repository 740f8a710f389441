"""The audit log of an organization: its shape, its filters, its pages, and whose it is."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from application.audit.filter import AuditFilter
from application.log import Recorded
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.log.event_log import read_after
from projections.audit_log import Action, audit_entry
from projections.shown_actor import ActorKind
from tests.support.api_keys import make_key
from tests.support.audit import newest_first
from tests.support.events import ADA, erased, toggled
from tests.support.filled_log import TOGGLES, USERS, Chance, forget, put, take_in
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

AUDIT_LOG = "/v1/audit-log"
SEED = 20260304
AUDITOR = bearer("user_grace", "org_math", role="admin")
FOREIGN_AUDITOR = bearer("user_grace", "org_chess", role="admin")
CURSOR_REFUSED = {"cursor": "must be one that this endpoint returned"}
BAD_TIME = "must be a date and time with a zone, as in RFC 3339"
MOMENTS = [f"2026-03-03T12:00:{second:02}Z" for second in (0, 1, 20, 40, 59)]


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], str]) -> Iterator[Server]:
    """A service whose log holds 600 events of several users and organizations, all of them in the index."""
    url = new_database()
    put(url, Chance(SEED).events(600))
    asyncio.run(take_in(url))
    with Server(url) as running:
        yield running


@pytest.fixture
async def client(filled: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=filled.url, timeout=10) as client:
        yield client


@pytest.fixture
def page(client: httpx.AsyncClient):
    async def read(headers: dict[str, str] = AUDITOR, **parameters: Any) -> dict[str, Any]:
        response = await client.get(AUDIT_LOG, headers=headers, params=parameters)
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["vary"] == "accept"
        return response.json()

    return read


async def walk(page, **parameters: Any) -> list[dict[str, Any]]:
    entries, cursor = [], {}
    while True:
        answer = await page(**parameters, **cursor)
        entries += answer["data"]
        assert len(entries) < 2000
        if answer["meta"]["next_cursor"] is None:
            return entries
        cursor = {"cursor": answer["meta"]["next_cursor"]}


async def recorded(url: str) -> list[Recorded]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await read_after(connection, 0, 1_000_000)


async def ids(server: Server, wanted: AuditFilter, organization: str = "org_math") -> list[str]:
    """Of the entries that must be found, in their order."""
    log = await recorded(server.database_url)
    return [audit_entry(found.event).id for found in newest_first(log, organization, wanted)]


@pytest.fixture
async def one_choice(serve, database_url: str) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.Response]]:
    """A service in which Ada made one choice; its answer."""
    server = serve()
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        body = {"email": {"weekly_usage_digest": True}}
        response = await client.patch(PATH, json=body, headers=bearer("user_ada", "org_math"))
        await take_in(database_url)
        yield client, response


async def test_an_entry_is_in_the_products_shape(one_choice) -> None:
    client, change = one_choice
    asked = datetime.now(UTC)
    answer = (await client.get(AUDIT_LOG, headers=AUDITOR)).json()
    [entry] = answer["data"]
    assert entry == {
        "id": entry["id"],
        "occurred_at": entry["occurred_at"],
        "actor": {"kind": "customer", "label": "user_ada"},
        "action": "notification_preferences.toggle",
        "resource": {"type": "user", "id": "user_ada"},
        "reason": None,
        "request_id": change.headers["x-request-id"],
    }
    assert len(entry["id"]) == 26
    assert datetime.fromisoformat(entry["occurred_at"]) <= asked
    meta = answer["meta"]
    assert answer == {
        "success": True,
        "data": [entry],
        "meta": {
            "total": 0,
            "limit": 50,
            "offset": 0,
            "next_cursor": None,
            "last_event_at": meta["last_event_at"],
        },
    }
    assert meta["last_event_at"].endswith("Z")
    assert datetime.fromisoformat(entry["occurred_at"]) < datetime.fromisoformat(meta["last_event_at"])

    [with_payload] = (await client.get(AUDIT_LOG, headers=AUDITOR, params={"include": "payload"})).json()["data"]
    choice = {"channel": "email", "toggle": "weekly_usage_digest"}
    assert with_payload == entry | {
        "payload": {"before": choice | {"enabled": None}, "after": choice | {"enabled": True}, "source": "dashboard"}
    }


async def test_before_anything_was_taken_in_the_feed_is_complete_until_never(serve) -> None:
    async with httpx.AsyncClient(base_url=serve(followers="off").url) as client:
        answer = (await client.get(AUDIT_LOG, headers=AUDITOR)).json()
    assert (answer["data"], answer["meta"]["last_event_at"]) == ([], None)


async def test_erasure_and_what_was_erased_are_entries_about_nobody_in_particular(serve, database_url: str) -> None:
    put(database_url, [toggled(2, "news", True), erased(3)])
    forget(database_url, ADA)
    await take_in(database_url)
    async with httpx.AsyncClient(base_url=serve().url) as client:
        for parameters in ({}, {"resource_id": "user_ada"}):
            response = await client.get(AUDIT_LOG, headers=AUDITOR, params={"include": "payload", **parameters})
            erasure, choice = response.json()["data"]
            assert erasure["action"] == "notification_preferences.erase"
            assert erasure["actor"] == {"kind": "platform", "label": "support"}
            assert erasure["payload"] == {"before": None, "after": None, "source": "admin"}
            assert choice["actor"] == {"kind": "customer", "label": "erased"}
            assert erasure["resource"] == choice["resource"] == {"type": "user", "id": "erased"}


SINGLE = [
    *({"action": action.value} for action in Action),
    {"resource_type": "user"},
    *({"resource_id": user} for user in (*USERS, "user_nobody")),
    *({"actor_kind": kind.value} for kind in ActorKind),
    {"channel": "email"},
    *({"toggle": toggle} for toggle in TOGGLES),
    {"enabled": "true"},
    {"enabled": "false"},
    *({"source": source.value} for source in Source),
    *({"since": moment} for moment in MOMENTS),
    *({"until": moment} for moment in MOMENTS),
    {"since": "2026-03-03T13:00:20.000+01:00"},
    {"since": MOMENTS[2], "until": MOMENTS[2]},
]


def as_filter(parameters: dict[str, str], organization: str = "org_math") -> AuditFilter:
    given = dict(parameters)
    given.pop("resource_type", None)
    values: dict[str, Any] = {
        name: datetime.fromisoformat(given.pop(name)) for name in ("since", "until") if name in given
    }
    if "enabled" in given:
        values["enabled"] = given.pop("enabled") == "true"
    if "resource_id" in given:
        values["stream"] = stream_id(organization, given.pop("resource_id"))
    return AuditFilter(**values, **given)


def any_parameters(chance: Chance) -> dict[str, str]:
    values: dict[str, str] = {}
    for parameters in chance.random.sample(SINGLE, chance.random.randrange(2, 6)):
        values |= parameters
    if values.get("since", "") > values.get("until", "3"):
        del values["since"]
    return values


async def test_every_filter_alone_and_with_others_finds_exactly_what_fits(filled: Server, page) -> None:
    chance = Chance(SEED)
    found = set()
    for parameters in [{}, *SINGLE, *(any_parameters(chance) for _ in range(60))]:
        answer = await page(**parameters, limit=200)
        expected = await ids(filled, as_filter(parameters))
        assert [entry["id"] for entry in answer["data"]] == expected[:200], parameters
        assert (answer["meta"]["next_cursor"] is None) == (len(expected) <= 200)
        found.add(len(expected))
    assert len(found) > 10


@pytest.mark.parametrize("limit", [1, 7, 50, 200])
async def test_the_pages_hold_every_entry_once(filled: Server, page, limit: int) -> None:
    parameters = {"source": "dashboard"} if limit == 1 else {}
    entries = await walk(page, limit=limit, **parameters)
    assert [entry["id"] for entry in entries] == await ids(filled, as_filter(parameters))


async def test_entries_that_come_while_pages_are_read_neither_hide_nor_repeat_any(serve, database_url: str) -> None:
    chance = Chance(SEED)
    put(database_url, chance.events(150))
    await take_in(database_url)
    server = serve()
    there = await ids(server, AuditFilter())
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = (await client.get(AUDIT_LOG, headers=AUDITOR, params={"limit": "4", **cursor})).json()
            seen += [entry["id"] for entry in answer["data"]]
            if answer["meta"]["next_cursor"] is None:
                break
            put(database_url, chance.events(3))
            await take_in(database_url)
            cursor = {"cursor": answer["meta"]["next_cursor"]}
    assert len(seen) == len(set(seen))
    assert [one for one in seen if one in set(there)] == there


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("limit=0", {"limit": "must be greater than or equal to 1"}),
        ("limit=201", {"limit": "must be less than or equal to 200"}),
        ("limit=many", {"limit": "must be an integer"}),
        (
            "action=notification_preferences.open",
            {"action": "must be 'notification_preferences.toggle' or 'notification_preferences.erase'"},
        ),
        ("resource_type=organization", {"resource_type": "must be 'user'"}),
        ("resource_id=", {"resource_id": "must have at least 1 character"}),
        ("resource_id=" + "x" * 256, {"resource_id": "must have at most 255 characters"}),
        ("actor_kind=robot", {"actor_kind": "must be 'customer' or 'platform'"}),
        ("channel=pigeon", {"channel": "unknown channel"}),
        ("toggle=product_news", {"toggle": "unknown toggle"}),
        ("toggle=security_alerts", {"toggle": "unknown toggle"}),
        ("channel=pigeon&toggle=product_updates", {"channel": "unknown channel"}),
        ("enabled=1", {"enabled": "must be 'true' or 'false'"}),
        ("source=fax", {"source": "must be 'dashboard', 'api', 'one_click', 'link', 'import', 'admin' or 'system'"}),
        ("since=2026-03-03T12:00:00", {"since": BAD_TIME}),
        ("since=2026-03-03", {"since": BAD_TIME}),
        ("until=1772539200", {"until": BAD_TIME}),
        ("until=2026-02-30T12:00:00Z", {"until": BAD_TIME}),
        ("since=yesterday&until=", {"since": BAD_TIME, "until": BAD_TIME}),
        ("since=2026-03-03T12:00:01Z&until=2026-03-03T12:00:00Z", {"since": "must not be after until"}),
        ("include=everything", {"include": "must be 'payload'"}),
        ("user=user_ada", {"user": "unknown parameter"}),
        ("Limit=1", {"Limit": "unknown parameter"}),
        ("limit=1&limit=2", {"limit": "must be given once"}),
        (
            "toggle=product_updates&x=&toggle=product_updates",
            {"toggle": "must be given once", "x": "unknown parameter"},
        ),
        ("limit=0&source=fax&cursor=" + "A" * 513, None),
        ("cursor=", CURSOR_REFUSED),
        ("cursor=garbage", CURSOR_REFUSED),
        ("cursor=" + encoded([]), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": "1", "id": "x"}), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": True, "id": "x"}), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": 0, "id": "x"}), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": 2**63, "id": "x"}), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": 1, "id": "x"}), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": 2**62, "id": "x"}), CURSOR_REFUSED),
        ("cursor=" + encoded({"position": 1}), CURSOR_REFUSED),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
async def test_what_makes_no_sense_is_named(client, query: str, details: dict[str, str] | None) -> None:
    response = await client.get(f"{AUDIT_LOG}?{query}", headers=AUDITOR)
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("VALIDATION_FAILED", "validation failed")
    if details is None:
        assert error["details"].keys() == {"limit", "source", "cursor"}
    else:
        assert error["details"] == details


async def test_a_cursor_is_good_for_its_own_organization_only(client, page) -> None:
    cursor = (await page(limit=1))["meta"]["next_cursor"]
    response = await client.get(AUDIT_LOG, headers=FOREIGN_AUDITOR, params={"cursor": cursor})
    assert response.status_code == 422
    assert response.json()["error"]["details"] == CURSOR_REFUSED


async def test_another_organizations_entries_are_never_shown(filled: Server, page) -> None:
    ours = {entry["id"] for entry in await walk(page, limit=200)}
    theirs = {entry["id"] for entry in await walk(page, limit=200, headers=FOREIGN_AUDITOR)}
    assert ours == set(await ids(filled, AuditFilter()))
    assert theirs == set(await ids(filled, AuditFilter(), "org_chess"))
    assert not ours & theirs
    assert await walk(page, headers=bearer("user_eve", "org_of_nobody", role="admin")) == []
    for user in USERS:
        there = {entry["id"] for entry in await walk(page, limit=200, resource_id=user)}
        assert there <= ours


async def test_who_may_read_it(filled: Server, client) -> None:
    url = filled.database_url
    for headers, status, code in (
        ({}, 401, "UNAUTHORIZED"),
        (bearer("user_ada", "org_math"), 403, "FORBIDDEN"),
        (bearer("user_ada", None), 403, "FORBIDDEN"),
        (await make_key(url, "org_math", "webhooks:read"), 403, "FORBIDDEN"),
        (await make_key(url, None, "audit:read"), 403, "FORBIDDEN"),
    ):
        # Who may not read is told so, and not what is wrong with the query.
        response = await client.get(AUDIT_LOG, headers=headers, params={"limit": 0, "nonsense": 1})
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    key = await make_key(url, "org_chess", "audit:read")
    response = await client.get(AUDIT_LOG, headers=key, params={"limit": 200})
    assert [entry["id"] for entry in response.json()["data"]] == (await ids(filled, AuditFilter(), "org_chess"))[:200]


async def test_other_methods_are_not_known(client) -> None:
    response = await client.post(AUDIT_LOG, headers=AUDITOR)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
