"""A decision's receipt holds against the log, whoever else writes, and whichever process answered."""

import random
import threading
from collections.abc import Callable
from typing import NamedTuple

import httpx
import psycopg

from domain.events import NotificationToggled
from domain.preferences import stream_id
from infrastructure.log.event_codec import decode
from tests.support.figures import figures
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

SECONDS = 5.0
USERS = [f"user_{number}" for number in range(12)]
TOGGLE = "product_updates"


class Receipt(NamedTuple):
    user: str
    allowed: bool
    reason: str
    version: int
    position: int


class Stood(NamedTuple):
    """What the log says of a user from a position on."""

    position: int
    version: int
    choice: bool | None


def change(server: Server, chance: random.Random, stop: threading.Event) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        while not stop.is_set():
            values = {TOGGLE: chance.random() < 0.5, "billing_receipts": chance.random() < 0.5}
            user = bearer(chance.choice(USERS))
            assert client.patch(PATH, json={"email": values}, headers=user).status_code == 200


def ask(server: Server, chance: random.Random, stop: threading.Event, receipts: list[Receipt]) -> None:
    with httpx.Client(base_url=server.url, timeout=30, headers=bearer("user_asking")) as client:
        while not stop.is_set():
            users = chance.choices([*USERS, "user_new"], k=chance.choice([1, 1, 1, 3, 40]))
            question = {"channel": "email", "toggle": TOGGLE, "users": users}
            data = client.post("/v1/decisions", json=question).json()["data"]
            for one in data["decisions"]:
                receipts.append(Receipt(one["user"], one["allowed"], one["reason"], one["version"], data["position"]))


def stood(url: str) -> dict[str, list[Stood]]:
    """Of each user, in the order of the log."""
    found: dict[str, list[Stood]] = {}
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT originator_id, originator_version, topic, state, sealed_actor, key, notification_id "
            "FROM events_with_keys ORDER BY notification_id"
        ).fetchall()
    users = {stream_id("org_math", user): user for user in USERS}
    for *stored, position in rows:
        stream, version = stored[:2]
        if stream in users:
            moments = found.setdefault(users[stream], [])
            choice = moments[-1].choice if moments else None
            event = decode(*stored)
            if isinstance(event, NotificationToggled) and event.toggle == TOGGLE:
                choice = event.enabled
            moments.append(Stood(position, version, choice))
    return found


def holds(receipt: Receipt, log: dict[str, list[Stood]]) -> bool:
    until = [moment for moment in log.get(receipt.user, []) if moment.position <= receipt.position]
    _, version, choice = until[-1] if until else Stood(0, 0, None)
    reason = "default" if choice is None else "choice"
    return (receipt.version, receipt.allowed, receipt.reason) == (version, choice is not False, reason)


def test_every_receipt_holds_against_the_log(serve: Callable[..., Server], database_url: str, record_property) -> None:
    # Given two processes, of which each has read the end of the log at moments of its own, and users who change their minds
    server = serve(web_concurrency=2, role_scopes="member=preferences:read")
    stop = threading.Event()
    receipts: list[Receipt] = []
    threads = [
        *(threading.Thread(target=change, args=(server, random.Random(seed), stop)) for seed in range(3)),
        *(threading.Thread(target=ask, args=(server, random.Random(seed), stop, receipts)) for seed in range(3)),
    ]
    for thread in threads:
        thread.start()
    stop.wait(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    log = stood(database_url)
    # then whatever was decided is what the log says up to the position of the receipt.
    assert [receipt for receipt in receipts if not holds(receipt, log)] == []
    # A position that says less, or more, is caught.
    end = max(moment.position for moments in log.values() for moment in moments)
    for moved in (-3, 3):
        assert not all(holds(receipt._replace(position=receipt.position + moved), log) for receipt in receipts)
    figures(record_property, receipts=len(receipts), events=end)
