"""What a tracing system is told of a follower's batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.events import ADA, BOB, TRACEPARENT, catalogue_published, opened, toggled
from tests.support.filled_log import put
from tests.support.ledger import Ledger, positions, written_down
from tests.support.running_followers import running, until

UNSAMPLED, OTHER = TRACEPARENT[:-1] + "0", TRACEPARENT.replace("4bf9", "abcd")


async def test_a_batch_is_handled_within_the_context_of_the_traces_that_its_events_are_from(url: str) -> None:
    # Given events with traces, some of one request, some without, and some that another writer has put there
    words = {"name": "news", "title": '"traceparent":"00-no', "description": "", "default": True, "mandatory": False}
    put(
        url,
        [
            catalogue_published(channels=[{"name": "email", "toggles": [words]}]),
            opened(BOB, traceparent=OTHER),
            toggled(2, "news", True, BOB, traceparent=OTHER),
            opened(ADA, traceparent=UNSAMPLED),
            toggled(2, "news", True),
            toggled(3, "news", False, previous=True, traceparent=TRACEPARENT),
            toggled(4, "news", True, previous=False, traceparent="00-\u00e9" + TRACEPARENT[4:]),
            toggled(5, "news", False, previous=True, traceparent="short"),
        ],
    )
    told: list[tuple[str, Sequence[str], int, int]] = []

    @contextmanager
    def trace(follower: str, traceparents: Sequence[str], up_to: int) -> Iterator[None]:
        before = len(written_down(url))
        yield
        # What is written down was committed: this is another connection.
        told.append((follower, traceparents, up_to, len(written_down(url)) - before))

    # when a follower gets them, then it is told of each trace once, and its commit is within the context.
    async with running(url, Ledger(), trace=trace):
        await until(lambda: bool(told))
    assert told == [("ledger", [OTHER, UNSAMPLED, TRACEPARENT], positions(url)[-1], 8)]
