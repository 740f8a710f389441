"""Whatever is broken behind it, no endpoint shows one organization what is another's: an answer is refused, or it is right."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from application.audit.filter import AuditFilter
from application.feed.feed import Selection
from domain.catalogue import CATALOGUE
from domain.events import Event
from domain.preferences import stream_id
from infrastructure.audit.log import PostgresAuditLog
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.postgres.read_database import ReadDatabase
from tests.support.catalogues import published
from tests.support.corruption import Corruption
from tests.support.events import erased, opened, toggled
from tests.support.filled_log import TOGGLES, forget, put, take_in
from tests.support.partitioned import one_table
from tests.support.patient_database import patient_database
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

STRIKES = rounds(12, 300)
OURS, THEIRS = "org_math", "org_chess"
AUDITOR = bearer("user_grace", OURS, role="admin")
USERS = [f"user_of_math_{number}" for number in range(4)]
ERASED = USERS[0]

NDJSON = {"Accept": "application/x-ndjson"}
QUESTION = {"channel": "email", "toggle": "product_updates", "users": USERS}
GETS: list[tuple[str, dict[str, str]]] = [
    ("/v1/audit-log?limit=200&include=payload", AUDITOR),
    ("/v1/audit-log?limit=7&actor_kind=customer", AUDITOR),
    (f"/v1/audit-log?resource_id={USERS[1]}", AUDITOR),
    ("/v1/audit-log", AUDITOR | NDJSON),
    ("/v1/audit-log", AUDITOR | {"Accept": "text/csv"}),
    ("/v1/audit-log/summary?since=2026-03-03T00:00:00Z&until=2026-03-05T00:00:00Z", AUDITOR),
    ("/v1/events?limit=1000", AUDITOR),
    ("/v1/events?type=notification-preferences.toggled.v1&limit=20", AUDITOR),
    ("/v1/events", AUDITOR | NDJSON),
    ("/v1/events?limit=50", AUDITOR | NDJSON),
    ("/v1/events", AUDITOR | {"Accept": "text/event-stream"}),
    *((f"/v1/users/{user}/notifications?include=explain", AUDITOR) for user in USERS[:2]),
    *((f"/v1/users/{user}/notifications/history", AUDITOR) for user in USERS[:2]),
    (f"/v1/users/{USERS[2]}/notifications?as_of=2026-03-03T12:10:00Z&include=explain", AUDITOR),
    ("/v1/audit-log/reads?limit=200", AUDITOR),
    ("/v1/audit-log/catalogues", AUDITOR),
    (f"{PATH}/history", bearer(USERS[3], OURS)),
    (PATH, bearer(USERS[3], OURS)),
]

WHOLE = (
    "/v1/audit-log?limit=200",
    "/v1/audit-log?resource_id",
    "/v1/audit-log/summary",
    "/v1/audit-log ",
    "/v1/events?limit=1000",
    "/v1/events ",
)
"""Answers that have all that there is, so that what another one may have is known."""

TOKEN = re.compile(r"[\w-]+")


def events_of(organization: str | None, user: str) -> list[Event]:
    stream, actor = stream_id(organization, user), {"user": user, "session": f"sess_{user}"}
    fields: dict[str, Any] = {"organization": organization, "actor": actor}
    chosen = [
        toggled(
            version, TOGGLES[version % 4], version % 8 < 4, stream, previous=None if version < 6 else True, **fields
        )
        for version in range(2, 10)
    ]
    return [opened(stream, **fields), *chosen]


@pytest.fixture(scope="module")
def log() -> list[Event]:
    """Events of users in two organizations and in none, mixed, one of them erased, one older than sealing."""
    users = [(OURS, user) for user in USERS]
    users += [(THEIRS, f"user_of_chess_{number}") for number in range(4)] + [
        (None, f"user_of_none_{n}") for n in range(2)
    ]
    streams = [events_of(*one) for one in users]
    mixed = [event for of_same_version in zip(*streams, strict=True) for event in of_same_version]
    gone = [erased(10, stream_id(*one), organization=one[0]) for one in (users[0], users[4])]
    return [published(CATALOGUE), *mixed, *gone]


@pytest.fixture(scope="module")
def broken(new_database, log: list[Event]) -> Iterator[tuple[Server, Corruption]]:
    url = new_database()
    put(url, log)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO current_preferences (originator_id, version, position, modified_at, choices) "
            "SELECT originator_id, version, position, modified_at, choices FROM fold_preferences(0, 1000)"
        )
    for organization, user in ((OURS, ERASED), (THEIRS, "user_of_chess_0")):
        forget(url, stream_id(organization, user))
    asyncio.run(take_in(url))
    corruption = Corruption(url, seed=19)
    scopes = "admin=audit:read,events:read,preferences:read"
    with Server(url, role_scopes=scopes, feed_heartbeat=0.3, log_level="error") as server:
        yield server, corruption
    corruption.close()


async def ask(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """The status and as much of the body as there is: an answer that is broken off has what came before."""
    received = b""
    try:
        async with asyncio.timeout(10), client.stream("GET", path, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                received += chunk
                if b": heartbeat" in received:
                    break
    except httpx.RemoteProtocolError:
        return 0, received.decode()
    return response.status_code, received.decode()


async def ask_everything(client: httpx.AsyncClient) -> dict[str, tuple[int, str]]:
    answers = await asyncio.gather(*(ask(client, *one) for one in GETS))
    decided = await client.post("/v1/decisions", headers=AUDITOR, json=QUESTION)
    named = {
        f"{path} {headers.get('Accept', '')}": answer for (path, headers), answer in zip(GETS, answers, strict=True)
    }
    return named | {"/v1/decisions": (decided.status_code, decided.text)}


def foreign_words(log: list[Event]) -> set[str]:
    """All that stands in an event of somebody else and says whose it is."""
    words: set[str] = {THEIRS}
    for event in log:
        organization = getattr(event, "organization", OURS)
        if organization != OURS:
            words |= {event.event_id, event.request_id, str(event.originator_id), *getattr(event, "actor", {}).values()}
    return words


def without_streams_of_the_erased(body: str) -> str:
    """An event that names nobody any more can't be held against its stream: what may be wrong then is the pseudonym."""
    return re.sub(
        r'("partitionkey":)"[0-9a-f-]+"(,"datacontenttype":"[^"]+","dataschema":"[^"]+","data")', r"\1null\2", body
    )


def rows(path: str, body: str) -> list[Any]:
    """The entries or events of an answer, however it is written."""
    if path.endswith("csv"):
        return body.splitlines()[1:]
    if path.endswith("event-stream"):
        return [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in body.splitlines()] if path.endswith("x-ndjson") else json.loads(body)["data"]


@one_table
@soak
async def test_however_indexes_and_rows_are_broken_nothing_foreign_is_shown(broken, log) -> None:
    server, corruption = broken
    foreign, statuses = foreign_words(log), dict[int, int]()
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        right = await ask_everything(client)
        # Given a service that answers everything, and nothing foreign
        assert {status for status, _ in right.values()} == {200}
        assert not foreign & {*TOKEN.findall(" ".join(body for _, body in right.values()))}
        for _ in range(STRIKES):
            # when something is broken
            ways = corruption.strike()
            answers = await ask_everything(client)
            corruption.mend()
            for path, (status, body) in answers.items():
                # then no answer has a word of another organization in it
                assert not foreign & {*TOKEN.findall(without_streams_of_the_erased(body))}, (ways, path, body)
                statuses[status] = statuses.get(status, 0) + 1
                # and it is refused, or broken off,
                assert status in (0, 200, 500, 503), (ways, path, body)
                if status == 500:
                    assert json.loads(body)["error"]["code"] == "INTERNAL"
                    assert set(json.loads(body)["error"]) == {"code", "message", "request_id"}
                # or, where the log itself is as it was, has nothing but what the right answer has, in the same order.
                elif status == 200 and not any("of_events" in way for way in ways):
                    if path.startswith(WHOLE):
                        known = iter(rows(path, right[path][1]))
                        assert all(row in known for row in rows(path, body)), (ways, path, body)
                    elif "/history" in path:
                        assert body == right[path][1], (ways, path, body)
    assert min(statuses.get(500, 0), statuses[200]) > STRIKES, statuses
    said = server.log().decode()
    assert "an answer was held back: what was found is not the reader's" in said


@one_table
async def test_without_the_check_the_same_breakage_shows_what_is_foreign(broken) -> None:
    """The negative control: what the index and the log lead to, before it is cleared for a reader."""
    server, corruption = broken
    seen = {"audit log": 0, "feed": 0}
    async with patient_database(server.database_url, size=1) as database:
        reads = ReadDatabase(database)
        audit_log, feed = PostgresAuditLog(reads), PostgresEventFeed(reads)
        for _ in range(25):
            corruption.strike()
            for name, read in (
                ("audit log", lambda: audit_log.newest(OURS, AuditFilter(), before=None, limit=1000)),
                ("feed", lambda: feed.read(0, 1000, Selection(OURS))),
            ):
                try:
                    found = await read()
                except Exception:  # noqa: BLE001 - what can't even be read is not what this is about
                    continue
                events = [one.event for one in (found if isinstance(found, list) else found.events)]
                seen[name] += any(getattr(event, "organization", OURS) != OURS for event in events)
            corruption.mend()
    assert seen["audit log"] > 3
    assert seen["feed"] > 3
