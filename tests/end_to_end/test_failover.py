"""Two real PostgreSQL servers, the standby promoted in the middle of load: no position is given twice, and every reader gets
each event that exists.

`make soak` promotes a hundred times.
"""

import asyncio
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from application.audit.explanations import ExplainAt, Explanations
from application.preferences.store import AppendRefused
from domain.catalogue import CATALOGUE
from domain.continued_log import Continuation, loss_of
from domain.decision import Reason
from infrastructure.decisions.basis import PostgresEvidenceStore
from infrastructure.embedded.nats_server import NatsServer
from infrastructure.log.continuation import continuations
from projections.explained_decision import CannotExplain, contradictions
from tests.support.catalogues import publish
from tests.support.events_client import events_key
from tests.support.feed_readers import FeedReader, Seen, reading
from tests.support.figures import figures
from tests.support.handed_on import stored
from tests.support.keep_alive import KeepAlive, NoReply
from tests.support.ledger import record
from tests.support.patient_database import patient_database
from tests.support.positions import execute, log_of, positions_as_before
from tests.support.relays import Relays
from tests.support.server import Server
from tests.support.soak import rounds, soak
from tests.support.standby import Pair
from tests.support.tokens import bearer

WRITERS, USERS = 3, 12
TOGGLES = [toggle.name for toggle in CATALOGUE.channels[0].visible]
ORGANIZATIONS = ("org_math", "org_chess")
READS = "member=audit:read,preferences:read"
PATIENCE = 25.0


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Pair.running() as running:
        yield running


@dataclass
class Receipt:
    user: str
    position: int
    version: int
    allowed: bool
    reason: Reason


@dataclass
class Load:
    """Users who change their minds, and a sender who keeps receipts; whatever goes wrong, they go on."""

    url: str
    acknowledged: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    refused: int = 0

    async def write(self, number: int) -> None:
        chance = random.Random(number)
        async with KeepAlive(self.url) as connection:
            while True:
                user, organization = f"user_{chance.randrange(USERS)}", chance.choice(ORGANIZATIONS)
                wanted = {chance.choice(TOGGLES): chance.random() < 0.5}
                try:
                    reply = await connection.patch(bearer(user, organization), {"email": wanted})
                except NoReply:
                    continue
                assert reply.status in {200, 503}, reply
                if reply.status == 200:
                    self.acknowledged.append(reply.request_id)
                else:
                    self.refused += 1
                    await asyncio.sleep(0.02)

    async def ask(self) -> None:
        chance = random.Random(0)
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as http:
            while True:
                user = f"user_{chance.randrange(USERS)}"
                asked = {"channel": "email", "toggle": TOGGLES[0], "users": [user]}
                response = await http.post("/v1/decisions", json=asked, headers=bearer("user_sender"))
                assert response.status_code in {200, 503}, response.text
                if response.status_code == 200:
                    data = response.json()["data"]
                    [decision] = data["decisions"]
                    reason = Reason(decision["reason"])
                    self.receipts.append(
                        Receipt(user, data["position"], decision["version"], decision["allowed"], reason)
                    )
                await asyncio.sleep(0.05)

    async def last_change(self) -> str:
        """One that is acknowledged, and then no other one follows; its request's id."""
        async with KeepAlive(self.url) as connection:
            for attempt in range(1000):
                reply = await connection.patch(bearer("user_last"), {"email": {TOGGLES[0]: bool(attempt % 2)}})
                if reply.status == 200:
                    return reply.request_id
                await asyncio.sleep(0.05)
        raise TimeoutError


@dataclass
class Outcome:
    log: list[Seen]
    organizations: Mapping[int, str]
    requests: set[str]
    indexed: Sequence[tuple[int, str]]
    seen: Mapping[str, Sequence[Seen]]
    continuations: Sequence[Continuation]
    load: Load
    beyond: int
    unexplained: list[str]
    lost_receipts: int

    def faults(self) -> list[str]:
        """What can't be forgiven."""
        found = list(self.unexplained)
        given: dict[int, str] = {}
        for reader, seen in {"log": self.log, **self.seen}.items():
            positions = [one.position for one in seen]
            if positions != sorted(set(positions)):
                found.append(f"{reader}: not in order, or twice")
            for one in seen:
                if given.setdefault(one.position, one.id) != one.id:
                    found.append(f"{reader}: position {one.position} was given twice")
            there = {
                one.position
                for one in self.log
                if not reader.endswith("of one") or self.organizations.get(one.position, "org_math") == "org_math"
            }
            found += [f"{reader}: position {position} was missed" for position in sorted(there - {*positions})]
            found += [
                f"{reader}: position {one.position} was never told to be lost"
                for one in {*seen} - {*self.log}
                if loss_of(one.position, self.continuations) is None
            ]
        if self.indexed != [
            (one.position, self.organizations[one.position]) for one in self.log if one.position in self.organizations
        ]:
            found.append("the index of the audit log is not that of the log")
        return found

    @property
    def lost(self) -> int:
        """Events that readers have seen and that are gone."""
        return len({one for seen in self.seen.values() for one in seen} - {*self.log})


async def promoted_under_load(
    pair: Pair, url: str, folder: Path, *, rounds: int, synchronous: bool, control: bool = False
) -> Outcome:
    await asyncio.to_thread(pair.follow, synchronous=synchronous)
    await publish(url)
    folder = Path(tempfile.mkdtemp(dir=folder))
    if control:
        positions_as_before(url)
    everything, of_one = await events_key(url), await events_key(url, "org_math")
    chance = random.Random(42)
    with (
        NatsServer(folder / "broker") as broker,
        # What the pair loses when a server is killed is only what its standby lacks, so it does without fsync.
        Server(
            url,
            followers="on",
            log_level="warning",
            role_scopes=READS,
            data_dir=folder / "data",
            database_storage="durable",
        ) as server,
    ):
        relays = Relays(folder, url, [broker.url], log_level="warning")
        load = Load(server.url)
        relays.start()
        try:
            async with reading(server.url, everything, of_one) as readers:
                tasks = [asyncio.create_task(load.write(number)) for number in range(WRITERS)]
                tasks.append(asyncio.create_task(load.ask()))
                for _ in range(rounds):
                    await more(load, chance.randint(5, 60))
                    if not synchronous:
                        await asyncio.to_thread(pair.lag)
                        # A promoted standby's sequence is up to 32 positions ahead.
                        await more(load, chance.randint(5, 60) if not control else 150)
                        await asyncio.sleep(chance.random() / 5)
                    await asyncio.to_thread(pair.fail_over)
                    await more(load, chance.randint(5, 60))
                    relays.revive()
                    await asyncio.to_thread(pair.follow)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                last = await position_of(url, await load.last_change())
                relays.revive()
                if not control:
                    await all_have(last, readers, url)
                else:
                    await asyncio.sleep(3)
            handed_on = [
                Seen(int(headers["ce-sequence"]), headers["ce-id"], headers["ce-type"].split(".")[-2])
                for headers in ([message.headers or {} for message in await stored(broker.url)])
            ]
        finally:
            relays.close()
    return await outcome(url, load, readers, handed_on)


async def more(load: Load, changes: int) -> None:
    """Return when so many more changes were acknowledged."""
    enough = len(load.acknowledged) + changes
    async with asyncio.timeout(PATIENCE):
        while len(load.acknowledged) < enough:  # noqa: ASYNC110 - several tasks append
            await asyncio.sleep(0.005)


async def position_of(url: str, request: str) -> int:
    with psycopg.connect(url) as connection:
        [(position,)] = connection.execute(
            "SELECT max(notification_id) FROM preferences_events WHERE convert_from(state, 'UTF8')::json ->> 'request_id' = %s",
            [request],
        ).fetchall()
    return position


async def all_have(last: int, readers: Mapping[str, FeedReader], url: str) -> None:
    """Return when every reader, the index and the relay have come to the last event."""
    with psycopg.connect(url, autocommit=True) as connection:
        async with asyncio.timeout(PATIENCE):
            while True:
                followed = [row[0] for row in connection.execute("SELECT position FROM followers")]
                if (
                    len(followed) == 2
                    and min(followed) >= last
                    and all(reader.position >= last for reader in readers.values())
                ):
                    return
                await asyncio.sleep(0.05)


async def outcome(url: str, load: Load, readers: Mapping[str, FeedReader], handed_on: list[Seen]) -> Outcome:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT notification_id, convert_from(state, 'UTF8')::json, topic FROM preferences_events ORDER BY 1"
        ).fetchall()
        indexed = connection.execute(
            "SELECT position, organization FROM audit_entries JOIN audit_classes USING (class) ORDER BY 1"
        ).fetchall()
    async with patient_database(url, size=1) as database:
        explanations = Explanations(PostgresEvidenceStore(database))
        unexplained, lost = [], 0
        async with database.connection() as own:
            continued = await continuations(own)
        for one in load.receipts:
            place = ExplainAt(one.position, None, CATALOGUE.version)
            try:
                explained = await explanations.explain("org_math", one.user, "email", TOGGLES[0], place)
            except CannotExplain as error:  # as in the control, where the log may end before the receipt's position
                unexplained.append(f"the receipt {one}: {error}")
                continue
            wrong = contradictions(explained, allowed=one.allowed, reason=one.reason, version=one.version)
            if wrong and explained.lost is not None:
                lost += 1
                assert "can't be verified" in wrong[0]
            else:
                unexplained += [f"the receipt {one}: {phrase}" for phrase in wrong]
    return Outcome(
        log=[Seen(position, state["event_id"], topic.rpartition(".")[2]) for position, state, topic in rows],
        organizations={position: state["organization"] for position, state, _ in rows if "organization" in state},
        requests={state["request_id"] for _, state, _ in rows},
        indexed=indexed,
        seen={**{name: reader.seen for name, reader in readers.items()}, "relay": handed_on},
        continuations=continued,
        load=load,
        beyond=sum(reader.beyond for reader in readers.values()),
        unexplained=unexplained,
        lost_receipts=lost,
    )


@soak
@pytest.mark.parametrize("synchronous", [False, True], ids=["asynchronous", "synchronous"])
async def test_a_standby_that_is_promoted_under_load_gives_no_position_twice_and_no_reader_misses_an_event(
    pair: Pair, folder: Path, synchronous: bool, record_property
) -> None:
    promotions = rounds(1, 50)
    result = await promoted_under_load(pair, pair.new_database(), folder, rounds=promotions, synchronous=synchronous)
    assert result.faults() == []
    assert len(result.continuations) == promotions
    acknowledged = {*result.load.acknowledged}
    figures(
        record_property,
        promotions=promotions,
        changes=len(acknowledged),
        events=len(result.log),
        lost_events_that_readers_saw=result.lost,
        refused=result.load.refused,
        receipts=len(result.load.receipts),
        receipts_of_lost_events=result.lost_receipts,
        told_that_they_were_beyond_the_end=result.beyond,
    )
    if synchronous:
        assert result.lost == 0
    else:
        assert result.lost > 0


async def test_the_release_before_gives_positions_twice_and_readers_miss_events(pair: Pair, folder: Path) -> None:
    """The control: without continuing the log, the same load and the same readers."""
    result = await promoted_under_load(pair, pair.new_database(), folder, rounds=1, synchronous=False, control=True)
    faults = result.faults()
    assert any("was given twice" in fault for fault in faults)
    assert any("was missed" in fault for fault in faults)


# A cut-over by logical replication


async def write_with_a_gap(url: str) -> None:
    """A log of twelve events, with a gap in it, as a transaction leaves it that is rolled back."""
    await record(url, 6)
    execute(url, "SELECT setval('preferences_events_notification_id_seq', 9)")
    await record(url, 6)


@pytest.mark.parametrize("continued", [True, False], ids=["continued", "believed to be at home"])
async def test_after_a_logical_cut_over_that_left_the_sequence_behind_no_reader_misses_an_event(
    pair: Pair, continued: bool
) -> None:
    # Given a log that was copied to a server of its own, without its sequence, and a reader who stands at its end
    url = pair.new_database()
    await write_with_a_gap(url)
    target = await asyncio.to_thread(pair.copy_logically, url)
    before = [position for position, _ in log_of(target)]
    assert before == [position for position, _ in log_of(url)]
    if not continued:
        execute(target, "UPDATE log_servers SET server = log_server()")
    # when the service writes on there
    for _ in range(5):
        await record(target, 2)
    # then all of it stands where the reader hasn't been.
    new = [position for position, _ in log_of(target) if position not in before]
    assert len(new) == 10 + continued
    assert min(new) > max(before)


async def test_after_such_a_cut_over_the_release_before_writes_where_readers_have_passed(pair: Pair) -> None:
    """The control."""
    url = pair.new_database()
    await write_with_a_gap(url)
    target = await asyncio.to_thread(pair.copy_logically, url)
    positions_as_before(target)
    before = [position for position, _ in log_of(target)]
    for _ in range(20):
        with suppress(AppendRefused):
            await record(target, 1)
    new = [position for position, _ in log_of(target) if position not in before]
    assert min(new) < max(before)
