"""Evidence over HTTP, and the record of reading: what is recorded before it is shown."""

from datetime import UTC, datetime

import pytest
from ulid_transform import ulid_now

from application.audit.evidence import EXPORT, EvidenceSource, MadeBundle, SignedCheckpoint, UserEvidence
from application.audit.reads import READ, Readings, RecordOfReading
from application.identity import OrganizationReader
from domain.checkpoint import Checkpoint
from domain.errors import NotFound, Unavailable
from tests.support.audit import AUDITOR, MemoryAuditReads
from tests.support.events import ADA, NOON

REQUEST = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
SIGNED = SignedCheckpoint("the note", Checkpoint("log", 3, bytes(32), 7, datetime(2026, 3, 3, tzinfo=UTC)), ["a key"])


class Source(EvidenceSource):
    def __init__(self, made: MadeBundle | None, signed: SignedCheckpoint | None = SIGNED) -> None:
        self.made = made
        self.signed = signed

    async def checkpoint(self) -> SignedCheckpoint | None:
        return self.signed

    async def bundle(self, organization: str, user: str) -> MadeBundle | None:
        assert (organization, user) == ("org_math", "user_ada")
        return self.made


def evidence(source: Source, reads: MemoryAuditReads) -> UserEvidence:
    return UserEvidence(source, Readings(reads, iter(ulid_now, None), lambda: NOON))


async def test_the_last_checkpoint_is_nobodys_and_not_recorded() -> None:
    reads = MemoryAuditReads()
    assert await evidence(Source(None), reads).checkpoint() == SIGNED
    assert reads.readings == {}


async def test_where_nothing_is_signed_there_is_no_checkpoint() -> None:
    with pytest.raises(NotFound):
        await evidence(Source(None, None), MemoryAuditReads()).checkpoint()


async def test_a_bundle_is_recorded_with_its_reader() -> None:
    reads = MemoryAuditReads()
    made = evidence(Source(MadeBundle(b"the file", 3)), reads)
    assert await made.bundle(AUDITOR, "user_ada", request_id=REQUEST) == b"the file"
    [(reading, outcome)] = reads.readings.values()
    assert (reading.reader, reading.action, reading.request_id) == (AUDITOR, EXPORT, REQUEST)
    assert (reading.filter, outcome) == ({"resource_stream": str(ADA)}, (3, "complete"))


@pytest.mark.parametrize("made", [None, MadeBundle(b"of nothing", 0)])
async def test_where_nothing_is_proven_there_is_no_bundle(made: MadeBundle | None) -> None:
    reads = MemoryAuditReads()
    with pytest.raises(NotFound):
        await evidence(Source(made), reads).bundle(AUDITOR, "user_ada", request_id=REQUEST)
    assert reads.readings == {}


async def test_a_bundle_that_cannot_be_recorded_is_not_shown() -> None:
    made = evidence(Source(MadeBundle(b"the file", 3)), MemoryAuditReads(broken=True))
    with pytest.raises(Unavailable):
        await made.bundle(AUDITOR, "user_ada", request_id=REQUEST)


async def test_the_record_of_reading_comes_in_pages_and_records_itself() -> None:
    # Given five readings in our organization and one in another
    reads = MemoryAuditReads()
    readings = Readings(reads, (f"01JTBQH2FZ8K1RXC0WJ4Z9P3{n:02}" for n in range(100)), lambda: NOON)
    for number in range(5):
        await readings.record(AUDITOR, "audit_log.read", {"limit": number}, count=number, request_id=REQUEST)
    other = OrganizationReader("org_chess", "user:user_eve")
    await readings.record(other, "audit_log.read", {}, count=0, request_id=REQUEST)
    record = RecordOfReading(reads, readings)

    # when the record is read page by page,
    first = await record.page(AUDITOR, limit=3, request_id=REQUEST)
    assert [reading.count for reading in first.readings] == [4, 3, 2]
    second = await record.page(AUDITOR, limit=3, request_id=REQUEST, before=first.next)

    # then no reading is left out or shown twice, and none is another organization's.
    assert ([reading.count for reading in second.readings], second.next) == ([1, 0], None)
    newest = (await record.page(AUDITOR, limit=2, request_id=REQUEST)).readings
    assert [(reading.action, reading.filter, reading.count) for reading in newest] == [
        (READ, {"limit": 3, "after": first.next}, 2),
        (READ, {"limit": 3}, 3),
    ]


async def test_a_record_that_cannot_be_recorded_is_not_shown() -> None:
    reads = MemoryAuditReads(broken=True)
    record = RecordOfReading(reads, Readings(reads, iter(ulid_now, None), lambda: NOON))
    with pytest.raises(Unavailable):
        await record.page(AUDITOR, limit=3, request_id=REQUEST)
