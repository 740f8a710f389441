"""Each reading of the audit log is recorded before it is answered: the reader, the filter, and how many entries."""

import base64
import json
from typing import Any

import httpx
import psycopg

from domain.preferences import stream_id
from tests.support.api_keys import make_key
from tests.support.events import ADA, toggled
from tests.support.filled_log import put, take_in
from tests.support.tokens import bearer

AUDIT_LOG = "/v1/audit-log"
AUDITOR = bearer("user_grace", "org_math", role="admin")


def readings(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT request_id, organization, reader, impersonator, reader_stream, action, filter, count, outcome "
            "FROM audit_reads ORDER BY id"
        ).fetchall()


async def test_every_reading_is_recorded_with_who_what_and_how_many(serve, database_url: str) -> None:
    put(database_url, [toggled(version, "news", True) for version in range(2, 9)])
    await take_in(database_url)
    support = {"act": {"iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": "user_staff"}}
    key = await make_key(database_url, "org_math", "audit:read")
    async with httpx.AsyncClient(base_url=serve().url) as client:
        responses = [
            await client.get(AUDIT_LOG, headers=AUDITOR, params={"resource_id": "user_ada", "limit": 3}),
            await client.get(AUDIT_LOG, headers=bearer("user_grace", "org_math", role="admin", **support)),
            await client.get(AUDIT_LOG, headers=key, params={"since": "2026-03-03T13:05:00+01:00", "enabled": "true"}),
            await client.get(AUDIT_LOG, headers=key, params={"limit": 0}),
        ]
        cursor = responses[0].json()["meta"]["next_cursor"]
        walked = await client.get(AUDIT_LOG, headers=key, params={"cursor": cursor, "include": "payload"})
        exported = await client.get(
            AUDIT_LOG, headers={**key, "Accept": "application/x-ndjson"}, params={"include": "payload"}
        )
        assert walked.status_code == exported.status_code == 200
    grace = stream_id("org_math", "user_grace")
    asked: list[dict[str, Any]] = [
        {"limit": 3, "resource_stream": str(ADA)},
        {"limit": 50},
        {"limit": 50, "since": "2026-03-03T12:05:00+00:00", "enabled": True},
    ]
    *recorded, page, export = readings(database_url)
    after = json.loads(base64.urlsafe_b64decode(cursor))["position"]
    assert page[6] == {"limit": 50, "after": after, "payload": True}
    assert export[6] == {"format": "application/x-ndjson", "payload": True}
    assert [(row[0], row[5], row[6], row[7], row[8]) for row in recorded] == [
        (response.headers["x-request-id"], "audit_log.read", wanted, count, "complete")
        for response, wanted, count in zip(responses, asked, (3, 7, 4), strict=False)
    ]
    assert [row[1:5] for row in recorded[:2]] == [
        ("org_math", "user:user_grace", None, grace),
        ("org_math", "user:user_grace", "user_staff", grace),
    ]
    assert recorded[2][2].startswith("api_key:")
    assert recorded[2][2].endswith(" (nightly)")
    assert "user_ada" not in str(recorded)


async def test_what_cant_be_recorded_as_read_is_not_shown(serve, database_url: str) -> None:
    put(database_url, [toggled(2, "news", True)])
    await take_in(database_url)
    async with httpx.AsyncClient(base_url=serve().url) as client:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'disk_full'; END $$;"
                "CREATE TRIGGER full_disk BEFORE INSERT ON audit_reads EXECUTE FUNCTION refuse()"
            )
        for accept in ("application/json", "application/x-ndjson", "text/csv"):
            response = await client.get(AUDIT_LOG, headers={**AUDITOR, "Accept": accept})
            assert (response.status_code, response.json()["error"]["code"]) == (503, "UNAVAILABLE")
