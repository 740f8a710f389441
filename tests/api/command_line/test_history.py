"""`preferences history`."""

import json

import httpx
import psycopg
import pytest

from tests.support.command import Command
from tests.support.events import ADA
from tests.support.readings import readings
from tests.support.server import PATH, Server
from tests.support.tokens import bearer


@pytest.fixture
def changed(database_url: str) -> list[str]:
    """Ada switched the digest on and off in her organization, the second time with support's hand; the request ids."""
    staff = {"iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": "user_staff"}
    with Server(database_url) as server:
        return [
            httpx.patch(
                server.url + PATH,
                content=json.dumps({"email": {"weekly_usage_digest": enabled}}),
                headers=bearer("user_ada", **claims),
            ).headers["x-request-id"]
            for enabled, claims in ((True, {}), (False, {"act": staff}))
        ]


def test_an_operator_sees_who_changed_what_and_that_is_recorded(
    preferences: Command, inside, changed: list[str], database_url: str
) -> None:
    shown = preferences("history", "--user", "user_ada", "--org", "org_math")
    assert (shown.returncode, shown.stderr) == (0, "")
    newest, first = [line for line in shown.stdout.splitlines() if "weekly_usage_digest" in line]
    for line, parts in (
        (newest, ("on", "off", "user_staff", "sess_user_ada", "dashboard", changed[1])),
        (first, ("default", "on", "user_ada", "sess_user_ada", "dashboard", changed[0])),
    ):
        cells = line.split()
        assert [cell for cell in cells if cell in parts] == list(parts)

    lines = inside("history", "--user", "user_ada", "--org", "org_math", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["request_id"] for event in events] == changed[::-1]
    assert events[0]["actor"] == {"user": "user_ada", "session": "sess_user_ada", "impersonator": "user_staff"}
    assert events[0]["enabled"] is False
    assert events[0]["previous"] is True
    assert all(event["organization"] == "org_math" and event["source"] == "dashboard" for event in events)

    limited = inside("history", "--user", "user_ada", "--org", "org_math", "--json", "--limit", "1").stdout.splitlines()
    assert limited == lines[:1]

    asked = {"resource_stream": str(ADA), "limit": 1000}
    assert readings(database_url) == [
        ("operator", "org_math", "user_history.read", asked, 2, "complete"),
        ("operator", "org_math", "user_history.read", asked, 2, "complete"),
        ("operator", "org_math", "user_history.read", asked | {"limit": 1}, 1, "complete"),
    ]

    for words in (["--user", "user_ada"], ["--user", "user_bob", "--org", "org_math"]):
        nothing = inside("history", *words)
        assert (nothing.returncode, nothing.stdout) == (0, "")
        assert nothing.stderr.strip() == f"{words[1]} has changed nothing."
        assert inside("history", *words, "--json").stdout == ""
    assert [row[1:3] for row in readings(database_url)[3:]] == [
        *[(None, "user_history.read")] * 2,
        *[("org_math", "user_history.read")] * 2,
    ]
    outside = inside("audit", "reads", "--json").stdout.splitlines()
    assert [json.loads(line)["action"] for line in outside] == ["user_history.read"] * 2


def test_a_history_whose_reading_cant_be_recorded_is_not_shown(inside, changed: list[str], database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_reads RENAME TO gone")
    result = inside("history", "--user", "user_ada", "--org", "org_math")
    assert (result.returncode, result.stdout) == (1, "")
    assert changed[0] not in result.stderr
