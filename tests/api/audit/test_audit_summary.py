"""The summary of the audit log over HTTP: its shape, its filters, its file, and whose it is."""

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from application.audit.filter import AuditFilter
from application.log import Recorded
from domain.provenance import Source
from infrastructure.log.event_log import read_after
from projections.shown_actor import ActorKind
from tests.support.daily_counts import by_day
from tests.support.events import NOON
from tests.support.filled_log import TOGGLES, Chance, put, take_in
from tests.support.server import Server
from tests.support.tokens import bearer

SUMMARY = "/v1/audit-log/summary"
AUDITOR = bearer("user_grace", "org_math", role="admin")
FOREIGN_AUDITOR = bearer("user_grace", "org_chess", role="admin")
TOO_LONG = "must be at most 366 days before until"
DURING = {"since": "2026-03-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"}


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], str]) -> Iterator[Server]:
    """A service whose log holds 600 events of nine days, of several users and organizations, all of them in the index."""
    url = new_database()
    put(url, Chance(20261128, seconds=9 * 86_400).events(600))
    asyncio.run(take_in(url))
    with Server(url) as running:
        yield running


@pytest.fixture
async def client(filled: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=filled.url, timeout=10) as client:
        yield client


async def recorded(url: str) -> list[Recorded]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await read_after(connection, 0, 1_000_000)


async def readings(url: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT reader, organization, filter, count, outcome, request_id FROM audit_reads "
            "WHERE action = 'audit_log.summary' ORDER BY id"
        )
        return await cursor.fetchall()


async def test_it_is_in_the_products_shape_and_says_how_complete_it_is(client) -> None:
    answer = await client.get(SUMMARY, headers=AUDITOR, params=DURING)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "accept"
    document = answer.json()
    assert document.keys() == {"success", "data", "meta"}
    first = document["data"][0]
    assert [*first] == ["day", "channel", "toggle", "source", "opt_ins", "opt_outs"]
    assert (first["day"], first["channel"]) == ("2026-03-03", "email")
    last_event_at = document["meta"].pop("last_event_at")
    assert datetime.fromisoformat(last_event_at) > datetime.now(UTC) - timedelta(minutes=1)
    assert document["meta"] == {
        "total": 0,
        "limit": len(document["data"]),
        "offset": 0,
        "next_cursor": None,
        "since": "2026-03-01T00:00:00Z",
        "until": "2026-04-01T00:00:00Z",
    }


FILTERS: list[dict[str, str]] = [
    {},
    *({"toggle": toggle} for toggle in TOGGLES),
    *({"source": source.value} for source in Source),
    *({"actor_kind": kind.value} for kind in ActorKind),
    {"enabled": "true"},
    {"enabled": "false", "channel": "email", "toggle": "product_updates"},
    {"since": "2026-03-05T13:00:00+02:00"},
    {"until": "2026-03-05T13:00:00.000001Z"},
    {"since": "2026-03-06T01:00:00Z", "until": "2026-03-06T20:00:00Z", "source": "dashboard"},
]


async def test_every_filter_counts_what_the_log_has(filled: Server, client) -> None:
    log = await recorded(filled.database_url)
    lengths = set()
    for parameters in FILTERS:
        given: dict[str, Any] = {**DURING, **parameters}
        wanted = {name: datetime.fromisoformat(value) for name, value in given.items() if name in DURING}
        if "enabled" in given:
            wanted["enabled"] = given["enabled"] == "true"
        others = {name: value for name, value in given.items() if name not in {*DURING, "enabled"}}
        expected = by_day(log, "org_math", AuditFilter(**wanted, **others))
        answer = await client.get(SUMMARY, headers=AUDITOR, params=given)
        assert [tuple(day.values()) for day in answer.json()["data"]] == expected, parameters
        rows = await client.get(SUMMARY, headers={**AUDITOR, "Accept": "text/csv"}, params=given)
        head, *lines = csv.reader(rows.text.splitlines())
        assert head == ["day", "channel", "toggle", "source", "opt_ins", "opt_outs"]
        assert lines == [[str(cell) for cell in day] for day in expected]
        assert rows.headers["content-disposition"] == 'attachment; filename="audit-summary.csv"'
        assert rows.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert rows.headers["x-last-event-at"].endswith("Z")
        lengths.add(len(expected))
    assert len(lengths) > 10


async def test_another_organizations_choices_are_never_counted(filled: Server, client) -> None:
    log = await recorded(filled.database_url)
    during = AuditFilter(since=NOON - timedelta(days=2), until=NOON + timedelta(days=20))
    seen = {}
    for organization in ("org_math", "org_chess", "org_of_nobody"):
        headers = bearer("user_eve", organization, role="admin")
        answer = (await client.get(SUMMARY, headers=headers, params=DURING)).json()
        seen[organization] = [tuple(day.values()) for day in answer["data"]]
        assert seen[organization] == by_day(log, organization, during)
    assert seen["org_math"] != seen["org_chess"]
    assert seen["org_of_nobody"] == []


async def test_every_reading_is_recorded_and_one_that_can_t_be_is_not_shown(filled: Server, client) -> None:
    before = len(await readings(filled.database_url))
    answer = await client.get(SUMMARY, headers=FOREIGN_AUDITOR, params={**DURING, "toggle": "product_updates"})
    [(reader, organization, asked, count, outcome, request_id)] = (await readings(filled.database_url))[before:]
    assert (reader, organization) == ("user:user_grace", "org_chess")
    assert asked == {
        "toggle": "product_updates",
        "since": "2026-03-01T00:00:00+00:00",
        "until": "2026-04-01T00:00:00+00:00",
        "format": "application/json",
    }
    assert (count, outcome, request_id) == (len(answer.json()["data"]), "complete", answer.headers["x-request-id"])
    with psycopg.connect(filled.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_reads RENAME TO hidden")
        try:
            refused = await client.get(SUMMARY, headers=AUDITOR, params=DURING)
        finally:
            connection.execute("ALTER TABLE hidden RENAME TO audit_reads")
    assert refused.status_code in (500, 503)
    assert "data" not in refused.json()


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("toggle=product_news", {"toggle": "unknown toggle"}),
        ("channel=pigeon", {"channel": "unknown channel"}),
        ("enabled=1", {"enabled": "must be 'true' or 'false'"}),
        ("actor_kind=robot", {"actor_kind": "must be 'customer' or 'platform'"}),
        ("since=2026-03-03", {"since": "must be a date and time with a zone, as in RFC 3339"}),
        ("since=2026-03-04T00:00:00Z&until=2026-03-03T00:00:00Z", {"since": "must not be after until"}),
        ("since=2025-03-03T00:00:00Z&until=2026-03-04T00:00:01Z", {"since": TOO_LONG}),
        ("since=2001-01-01T00:00:00Z", {"since": TOO_LONG}),
        ("resource_id=user_ada", {"resource_id": "unknown parameter"}),
        ("limit=10", {"limit": "unknown parameter"}),
        ("toggle=product_updates&toggle=product_updates", {"toggle": "must be given once"}),
    ],
)
async def test_what_makes_no_sense_is_named(client, query: str, details: dict[str, str]) -> None:
    response = await client.get(f"{SUMMARY}?{query}", headers=AUDITOR)
    assert response.status_code == 422
    assert response.json()["error"]["details"] == details


async def test_the_ends_of_time_are_answered(client) -> None:
    for query in (
        "until=0001-01-01T00:00:00Z",
        "since=9999-12-31T23:00:00Z&until=9999-12-31T23:59:59Z",
        "since=9999-12-30T23:00:00Z",
    ):
        answer = await client.get(f"{SUMMARY}?{query}", headers=AUDITOR)
        assert (answer.status_code, answer.json()["data"]) == (200, [])


async def test_who_may_read_it(client) -> None:
    for headers, status in (({}, 401), (bearer("user_ada", "org_math"), 403), (bearer("user_ada", None), 403)):
        response = await client.get(f"{SUMMARY}?toggle=nonsense", headers=headers)
        assert response.status_code == status
