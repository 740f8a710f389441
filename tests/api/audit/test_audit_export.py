"""The audit log as a file: whole, streamed, harmless in a spreadsheet, and never silently short."""

import asyncio
import csv
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from api.audit.entries import COLUMNS, as_rows
from projections.audit_log import audit_entry
from tests.support.events import toggled
from tests.support.eventually import until
from tests.support.filled_log import Chance, fill, put, take_in
from tests.support.server import Server
from tests.support.tokens import bearer, session_token

AUDIT_LOG = "/v1/audit-log"
SEED = 20260305
AUDITOR = bearer("user_grace", "org_math", role="admin")
NDJSON = {**AUDITOR, "Accept": "application/x-ndjson"}
CSV = {**AUDITOR, "Accept": "text/csv"}
LARGE = 200_000


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], str]) -> Iterator[Server]:
    url = new_database()
    put(url, Chance(SEED).events(4000))
    asyncio.run(take_in(url))
    with Server(url) as running:
        yield running


@pytest.fixture
def client(filled: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=filled.url, timeout=30) as client:
        yield client


def pages(client: httpx.Client, **parameters: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        query = {"limit": "200", "include": "payload", **parameters, **cursor}
        answer = client.get(AUDIT_LOG, headers=AUDITOR, params=query).json()
        entries += answer["data"]
        if answer["meta"]["next_cursor"] is None:
            return entries
        cursor = {"cursor": answer["meta"]["next_cursor"]}


@pytest.mark.parametrize("parameters", [{}, {"source": "one_click"}, {"resource_id": "user_nobody"}], ids=str)
def test_an_export_is_what_the_pages_are(client: httpx.Client, parameters: dict[str, str]) -> None:
    entries = pages(client, **parameters)
    assert len(entries) > 1000 or parameters

    lines = client.get(AUDIT_LOG, headers=NDJSON, params={"include": "payload", **parameters})
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.text.splitlines()] == entries

    without = client.get(AUDIT_LOG, headers=NDJSON, params=parameters)
    assert [json.loads(line) for line in without.text.splitlines()] == [
        {name: value for name, value in entry.items() if name != "payload"} for entry in entries
    ]

    table = client.get(AUDIT_LOG, headers=CSV, params=parameters)
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert table.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
    assert table.headers["vary"] == "accept"
    rows = list(csv.DictReader(StringIO(table.text, newline=""), strict=True))
    assert [without_source(row) for row in rows] == [as_row(entry) for entry in entries]
    assert table.text.startswith(",".join(COLUMNS) + "\r\n")


def without_source(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name != "source"}


def as_row(entry: dict[str, Any]) -> dict[str, str]:
    before, after = entry["payload"]["before"], entry["payload"]["after"]
    return {
        "id": entry["id"],
        "occurred_at": entry["occurred_at"],
        "actor_kind": entry["actor"]["kind"],
        "actor_label": entry["actor"]["label"],
        "action": entry["action"],
        "resource_type": entry["resource"]["type"],
        "resource_id": entry["resource"]["id"],
        "channel": after["channel"] if after else "",
        "toggle": after["toggle"] if after else "",
        "before": {None: "", True: "true", False: "false"}[before["enabled"] if before else None],
        "after": {None: "", True: "true", False: "false"}[after["enabled"] if after else None],
        "reason": "",
        "request_id": entry["request_id"],
    }


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/png", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, application/json;q=0.5", "application/x-ndjson"),
        ("text/csv;q=0.4, application/json;q=0.5", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; q=1", "text/csv"),
    ],
)
def test_the_accept_header_decides_the_form(client: httpx.Client, accept: str | None, answered: str) -> None:
    headers = {**AUDITOR, "Accept": accept} if accept else AUDITOR
    response = client.get(AUDIT_LOG, headers=headers, params={"resource_id": "user_nobody"})
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == answered


@pytest.mark.parametrize("headers", [NDJSON, CSV], ids=["ndjson", "csv"])
def test_an_export_is_refused_like_a_page(client: httpx.Client, headers: dict[str, str]) -> None:
    for query, details in (
        ("since=now", {"since": "must be a date and time with a zone, as in RFC 3339"}),
        ("x=1", {"x": "unknown parameter"}),
        ("limit=5", {"limit": "must be absent in an export"}),
        ("cursor=AAAA", {"cursor": "must be absent in an export"}),
    ):
        response = client.get(f"{AUDIT_LOG}?{query}", headers=headers)
        assert (response.status_code, response.json()["error"]["details"]) == (422, details)
    response = client.get(AUDIT_LOG, headers={**headers, **bearer("user_ada", "org_math")})
    assert response.status_code == 403


@pytest.mark.parametrize("word", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_cell_is_a_formula(word: str) -> None:
    text = as_rows([audit_entry(toggled(2, "news", True, actor={"user": word}))]).decode()
    [row] = csv.reader(StringIO(text, newline=""), strict=True)
    cells = dict(zip(COLUMNS, row, strict=True))
    assert cells["actor_label"] == cells["resource_id"] == f"'{word}"


def test_the_last_line_of_lines_says_how_many_they_are_if_it_is_asked_for(client: httpx.Client) -> None:
    plain = client.get(AUDIT_LOG, headers=NDJSON).text.splitlines()
    answer = client.get(AUDIT_LOG, headers=NDJSON, params={"trailer": "true"})
    *lines, last = answer.text.splitlines()
    assert lines == plain == client.get(AUDIT_LOG, headers=NDJSON, params={"trailer": "false"}).text.splitlines()
    assert answer.text.endswith("\n")
    last_event_at = answer.headers["x-last-event-at"]
    assert json.loads(last) == {"end": True, "lines": len(plain), "last_event_at": last_event_at}


@pytest.mark.parametrize("headers", [AUDITOR, CSV], ids=["page", "csv"])
def test_only_lines_can_have_a_last_one(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.get(AUDIT_LOG, headers=headers, params={"trailer": "true"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"trailer": "must be absent but for application/x-ndjson"}


@contextmanager
def opened(server: Server, query: str = "") -> Iterator[socket.socket]:
    """An export that is under way, over a connection that takes little at a time."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.settimeout(30)
        host, port = server.url.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        token = session_token("user_grace", "org_math", role="admin")
        connection.sendall(
            f"GET {AUDIT_LOG}{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            "Accept: application/x-ndjson\r\nConnection: close\r\n\r\n".encode()
        )
        yield connection


def rest(connection: socket.socket) -> bytes:
    """What still comes, until the server closes the connection or breaks it off."""
    received = b""
    try:
        while piece := connection.recv(1 << 16):
            received += piece
    except ConnectionResetError:
        pass
    return received


def outcomes(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT action, filter, count, outcome FROM audit_reads ORDER BY id").fetchall()


def until_ended(url: str) -> tuple[Any, ...]:
    """The only reading there is, once it has an end."""
    until(lambda: outcomes(url)[0][-1] is not None)
    [reading] = outcomes(url)
    return reading


@pytest.fixture(scope="module")
def large_log(new_database: Callable[..., str]) -> str:
    """A database to copy, which is much faster than to fill it."""
    url = new_database()
    fill(url, LARGE)
    return url


@pytest.fixture
def large(serve, new_database: Callable[..., str], large_log: str) -> Server:
    return serve(database_url=new_database(like=large_log))


def test_a_reader_who_is_slow_costs_no_memory(large: Server, record_property) -> None:
    process = psutil.Process(large.process.pid)
    received = 0
    with opened(large) as connection:
        received += len(connection.recv(1 << 14))
        before = most = process.memory_info().rss
        while piece := connection.recv(1 << 16):
            received += len(piece)
            if received % 64 == 0:
                time.sleep(0.001)
            most = max(most, process.memory_info().rss)
    megabytes = (most - before) / 1e6
    record_property("megabytes", megabytes)
    assert received > 40e6
    assert megabytes < 30
    assert until_ended(large.database_url) == (
        "audit_log.export",
        {"format": "application/x-ndjson"},
        LARGE,
        "complete",
    )


def test_a_reader_who_leaves_is_recorded_as_such(large: Server) -> None:
    with opened(large) as connection:
        connection.recv(1 << 14)
        assert outcomes(large.database_url)[0][2:] == (None, None), "recorded from its beginning"
    _, _, count, outcome = until_ended(large.database_url)
    assert outcome == "aborted"
    assert 0 < count < LARGE


def test_an_export_that_breaks_off_has_no_end(large: Server) -> None:
    with opened(large) as connection:
        received = connection.recv(1 << 14)
        with psycopg.connect(large.database_url, autocommit=True) as database:
            database.execute("ALTER TABLE audit_entries RENAME TO gone")
        received += rest(connection)
    assert b"transfer-encoding: chunked" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b'"action"') < LARGE
    assert until_ended(large.database_url)[-1] == "aborted"


def test_an_export_is_complete_until_when_its_page_would_be(client: httpx.Client, serve, database_url: str) -> None:
    for headers in (NDJSON, CSV):
        before, answer, after = (
            client.get(AUDIT_LOG, headers=form, params={"resource_id": "user_nobody"})
            for form in (AUDITOR, headers, AUDITOR)
        )
        moments = [
            datetime.fromisoformat(moment)
            for moment in (
                before.json()["meta"]["last_event_at"],
                answer.headers["x-last-event-at"],
                after.json()["meta"]["last_event_at"],
            )
        ]
        assert moments == sorted(moments)
    # Given an index that has taken in one of two events
    put(database_url, [toggled(2, "news", True)])
    asyncio.run(take_in(database_url))
    put(database_url, [toggled(3, "news", False)])
    with httpx.Client(base_url=serve().url) as behind:
        page, lines = (behind.get(AUDIT_LOG, headers=headers) for headers in (AUDITOR, NDJSON))
    # then the export that lacks the other one tells that it does.
    assert lines.headers["x-last-event-at"] == page.json()["meta"]["last_event_at"] == "2026-03-03T12:02:00Z"
    assert lines.text.count("\n") == 1


def test_before_anything_was_taken_in_an_export_is_complete_until_never(serve) -> None:
    with httpx.Client(base_url=serve().url) as client:
        response = client.get(AUDIT_LOG, headers=NDJSON)
    assert (response.status_code, response.text) == (200, "")
    assert "x-last-event-at" not in response.headers


def test_an_export_whose_index_is_set_back_meanwhile_has_no_end(large: Server) -> None:
    with opened(large) as connection:
        received = connection.recv(1 << 14)
        with psycopg.connect(large.database_url) as database:
            database.execute("TRUNCATE audit_entries")
            database.execute("UPDATE followers SET position = 0 WHERE name = 'audit-index'")
        received += rest(connection)
    assert not received.endswith(b"0\r\n\r\n")
    _, _, count, outcome = until_ended(large.database_url)
    assert (outcome, count < LARGE) == ("aborted", True)
    until(lambda: b"the index of the audit log was set back" in large.log())


def test_an_event_that_is_missing_ends_no_export_and_no_page(large: Server) -> None:
    with psycopg.connect(large.database_url) as database:
        [(missing,)] = database.execute(
            "DELETE FROM preferences_events WHERE originator_version = %s RETURNING notification_id", [LARGE - 5000]
        ).fetchall()
    with opened(large) as connection:
        received = rest(connection)
    assert received.count(b'"action"') == 5000
    assert not received.endswith(b"0\r\n\r\n")
    assert until_ended(large.database_url)[2:] == (5000, "aborted")

    with psycopg.connect(large.database_url) as database:
        database.execute("DELETE FROM preferences_events WHERE originator_version = %s", [LARGE - 7])
    with httpx.Client(base_url=large.url) as client:
        assert len(client.get(AUDIT_LOG, headers=AUDITOR, params={"limit": 6}).json()["data"]) == 6
        for headers in (AUDITOR, NDJSON, CSV):
            response = client.get(AUDIT_LOG, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL")
    for position in (missing, missing + 4993):
        sentence = b"the log has no event at position %d" % position
        until(lambda sentence=sentence: sentence in large.log())


def test_a_whole_export_has_one(filled: Server) -> None:
    with opened(filled, "?resource_id=user_ada") as connection:
        assert rest(connection).endswith(b"0\r\n\r\n")
