"""A node whose clock is days away from the database's dates nothing by it: a real server, started under libfaketime."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.catalogues import publish
from tests.support.command import Command
from tests.support.counterparts import missing
from tests.support.eventually import until
from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

FAKED = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.fixture(autouse=True)
def _faketime() -> None:
    if not FAKED:
        missing("libfaketime isn't there: install Debian's faketime")


AHEAD, BEHIND = "+3d", "-3d"
WITHIN, LATE = 1.0, 3.0
MONTH = 30 * 86_400


def at(shift: str) -> dict[str, str]:
    """Settings of a process whose machine has another time. That its steady clock goes on is a machine's nature."""
    return {"ld_preload": str(FAKED[0]), "faketime": shift, "faketime_dont_fake_monotonic": "1"}


def of(user: str, role: str = "member") -> dict[str, str]:
    """Valid for any of the machines: tokens are held to the machine's own clock."""
    return bearer(user, "org_math", role=role, iat=0, nbf=0, exp=int(time.time()) + MONTH)


ADMIN = of("user_admin", "admin")


def choose(server: Server, **toggles: bool) -> None:
    response = httpx.patch(f"{server.url}{PATH}", json={"email": toggles}, headers=of("user_ada"))
    assert response.status_code == 200, response.text


def as_of(server: Server, instant: datetime | None) -> dict[str, Any]:
    parameters = {} if instant is None else {"as_of": instant.isoformat()}
    url = f"{server.url}/v1/users/user_ada/notifications"
    response = httpx.get(url, params=parameters, headers=ADMIN)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def metric(server: Server, name: str) -> float:
    [line] = [line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


@pytest.fixture
async def published(database_url: str) -> str:
    await publish(database_url)
    return database_url


@pytest.mark.parametrize("shift", [AHEAD, BEHIND])
def test_what_a_node_with_a_wrong_clock_records_is_dated_right(
    published: str, serve: Callable[..., Server], shift
) -> None:
    # Given a node whose clock is three days away
    wrong = serve(**at(shift))
    before = datetime.now(UTC) - timedelta(seconds=1)
    # when it records a change, and then another node does
    choose(wrong, product_updates=False)
    right = serve()
    choose(right, delivery_alerts=False)
    # then both are dated by the time that it really was,
    history = httpx.get(f"{right.url}{PATH}/history", headers=of("user_ada")).json()["data"]
    for entry in history:
        assert before <= datetime.fromisoformat(entry["occurred_at"]) <= datetime.now(UTC) + timedelta(seconds=1)
    assert len(history) == 2
    # so that whoever asks for a moment after them, here or there, is told of both,
    time.sleep(1.1)
    for server in (wrong, right):
        for instant in (datetime.now(UTC) - timedelta(seconds=0.05), None):
            resolved = as_of(server, instant)["notifications"]["email"]
            assert (resolved["product_updates"], resolved["delivery_alerts"]) == (False, False)
    # and the operator is told of the clock.
    until(lambda: b"the machine's clock is wrong" in wrong.log())
    days = 3 if shift == AHEAD else -3
    assert metric(wrong, "preferences_clock_offset_seconds") == pytest.approx(days * 86_400, abs=5)
    assert abs(metric(right, "preferences_clock_offset_seconds")) < 1
    assert b"the machine's clock is wrong" not in right.log()


def test_a_stream_with_a_time_in_the_future_shows_now_what_the_user_gets(
    published: str, serve: Callable[..., Server]
) -> None:
    # Given a stream that a node dated three days ahead, before nodes were held to the database's time
    server = serve()
    choose(server, product_updates=False)
    with psycopg.connect(published) as connection:
        ahead = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        connection.execute("SET session_replication_role = replica")
        connection.execute(REDATE, {"ahead": ahead})
        connection.execute("UPDATE current_preferences SET modified_at = %s", [ahead])
    with Server(published) as server:
        # when the user changes something else,
        choose(server, delivery_alerts=False)
        # then now is what the user gets,
        for resolved in (as_of(server, None)["notifications"]["email"],):
            assert (resolved["product_updates"], resolved["delivery_alerts"]) == (False, False)
        # and a moment that is named goes by the dates of the events.
        named = as_of(server, datetime.now(UTC) - timedelta(seconds=0.05))
        assert named["version"] == 0


REDATE = """
UPDATE preferences_events
SET state = convert_to(jsonb_set(convert_from(state, 'UTF8')::jsonb, '{timestamp,_data_}', to_jsonb(%(ahead)s::text))::text, 'UTF8')
WHERE topic NOT LIKE '%%catalogue%%'
"""


@soak
@pytest.mark.parametrize("workers", rounds([1], [1, 2]))
async def test_a_clock_that_is_set_back_by_an_hour_suspends_no_time_limit(
    published: str, serve: Callable[..., Server], tmp_path: Path, workers: int
) -> None:
    # Given a server that gives half a request a second, on a machine
    clock = tmp_path / "clock"
    clock.write_text("+0")
    machine = at("") | {"faketime": None, "faketime_timestamp_file": clock, "faketime_no_cache": "1"}
    server = serve(**machine, header_within=WITHIN, web_concurrency=workers)
    # whose clock was just set back by an hour, which the server sees,
    clock.write_text("-1h")
    async with connected(server.url) as connection:
        await connection.send(request_head("GET", "/healthz"))
        dated = parsedate_to_datetime((await connection.answer()).headers["date"])
        while datetime.now(UTC) - dated < timedelta(minutes=30):
            await connection.send(request_head("GET", "/healthz"))
            dated = parsedate_to_datetime((await connection.answer()).headers["date"])
            await asyncio.sleep(0.1)
        # when a client stops in the middle of a request, then it is told so in time.
        await connection.send(b"GET /healthz HTTP/1.1\r\n")
        answer = await connection.answer(patience=WITHIN + LATE)
    assert answer.status == 408


def test_a_command_on_a_machine_with_a_wrong_clock_dates_right_too(database_url: str, tmp_path: Path) -> None:
    command = Command(tmp_path / "data", database_url)
    assert command("migrate", **at(AHEAD)).returncode == 0
    assert command("erase", "--org", "org_math", "--user", "user_ada", **at(AHEAD)).returncode == 0
    assert command("audit", "checkpoint", **at(AHEAD)).returncode == 0
    listed = command("catalogue", "list")
    assert f"{datetime.now(UTC):%Y-%m-}" in listed.stdout
    with psycopg.connect(database_url) as connection:
        dated = [date for (date,) in connection.execute(DATES).fetchall()]
        [(signed,)] = connection.execute("SELECT note FROM checkpoints").fetchall()
    [time_line] = [line for line in signed.splitlines() if line.startswith("time ")]
    for date in (*dated, time_line.removeprefix("time ")):
        assert datetime.fromisoformat(date) <= datetime.now(UTC) + timedelta(seconds=1)
    assert dated


DATES = "SELECT convert_from(state, 'UTF8')::jsonb #>> '{timestamp,_data_}' FROM preferences_events"
