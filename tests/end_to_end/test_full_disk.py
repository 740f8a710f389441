"""PostgreSQL's disk is full: users read on, changes are refused, and with room on the disk everything goes on by itself."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.catalogues import publish
from tests.support.eventually import until
from tests.support.server import PATH, Server
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.tokens import bearer

SIZE = 120
"""Megabytes. A new cluster takes about 60."""
BEHIND = 'preferences_follower_lag_events{follower="audit-index"}'
ADMIN = bearer("user_admin", "org_math", role="admin")


@pytest.fixture
def disk(folder: Path) -> Iterator[SmallDisk]:
    with small_disk(folder / "disk", SIZE) as disk:
        yield disk


@pytest.fixture
def server(disk: SmallDisk, ready_cluster, tmp_path: Path) -> Iterator[Server]:
    """A service whose database is on that disk, with its followers, and with checkpoints elsewhere."""
    with EmbeddedPostgres(ready_cluster.copy_to(disk.folder / "data")) as postgres:
        asyncio.run(publish(postgres.url))
        settings = {"followers": "on", "checkpoint_interval": 1, "data_dir": tmp_path}
        with Server(postgres.url, role_scopes="admin=audit:read,preferences:read", **settings) as server:
            yield server


def choose(http: httpx.Client, user: str) -> int:
    return http.patch(PATH, json={"email": {"product_updates": False}}, headers=bearer(user, "org_math")).status_code


def told(http: httpx.Client, metric: str) -> float:
    """A metric of this name and these labels."""
    [value] = re.findall(rf"^{re.escape(metric)} (\S+)$", http.get("/metrics").text, re.MULTILINE)
    return float(value)


def test_a_full_disk_refuses_changes_alone_and_with_room_all_goes_on(disk: SmallDisk, server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as http:
        assert choose(http, "user_ada") == 200
        until(lambda: told(http, BEHIND) == 0)
        # When there is no room left, changes fit into pages that are there, and then no more.
        disk.fill()
        kept = ["user_ada"]
        while (status := choose(http, user := f"user_{len(kept)}")) == 200:
            kept.append(user)
        assert status == 503
        until(lambda: b"No space left on device" in server.log())
        # Then users still read their preferences, senders get decisions, and no proxy turns away.
        assert http.get(PATH, headers=bearer("user_ada", "org_math")).status_code == 200
        question = {"channel": "email", "toggle": "product_updates", "users": ["user_ada", "user_new"]}
        decided = http.post("/v1/decisions", json=question, headers=ADMIN)
        assert [one["allowed"] for one in decided.json()["data"]["decisions"]] == [False, True]
        assert http.get("/readyz").status_code == 200
        # With room on the disk, changes are taken at once,
        disk.make_room()
        until(lambda: choose(http, "user_late") == 200, seconds=10)
        # nothing that was acknowledged is missing,
        for user in (*kept, "user_late"):
            state = http.get(PATH, headers=bearer(user, "org_math")).json()["data"]
            assert state["email"]["product_updates"] is False, user
        # and the followers catch up without an operator.
        until(lambda: told(http, BEHIND) == 0)
        until(lambda: told(http, "preferences_checkpoint_lag_seconds") == 0)
        assert told(http, 'preferences_follower_leading{follower="audit-index"}') == 1
    events = {json.loads(line)["event"] for line in server.log().splitlines() if line.startswith(b"{")}
    assert not events & {"unforeseen error", "follower stopped", "died"}
