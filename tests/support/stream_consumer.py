"""A consumer as a process of its own, as somebody else would write one: `python -m tests.support.stream_consumer URL FILE`.

It keeps what it was told, and how far it is in the stream, in one SQLite transaction, and goes on from there whenever
it was killed. It recognizes no event that it has seen before: what is stored twice, it is told twice.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.support.handed_on import STREAM, Told, connected, understood

_TABLE = "CREATE TABLE IF NOT EXISTS told (sequence INTEGER PRIMARY KEY, position INTEGER, user TEXT, version INTEGER)"


async def consume(url: str, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as kept:
        kept.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing that it has handed to the system
        kept.execute(_TABLE)
        while True:
            with suppress(nats.errors.Error, OSError, TimeoutError):
                await _follow(url, kept)
            await asyncio.sleep(0.05)


async def _follow(url: str, kept: sqlite3.Connection) -> None:
    connection = await connected(url)
    try:
        [(last,)] = kept.execute("SELECT coalesce(max(sequence), 0) FROM told").fetchall()
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=last + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
        )
        subscription = await connection.jetstream(timeout=1).pull_subscribe(">", stream=STREAM, config=config)
        while True:
            try:
                async with asyncio.timeout(3):
                    messages = await subscription.fetch(500, timeout=0.5)
            except nats.errors.TimeoutError:
                await subscription.consumer_info()  # it lives in the server's memory, and dies with it
                continue
            kept.execute("BEGIN")
            for message in messages:
                sequence = message.metadata.sequence.stream
                if sequence != last + 1:
                    raise nats.errors.Error  # something was left out on the way: ask again
                last = sequence
                told = understood(message.headers or {}, message.data)
                kept.execute("INSERT INTO told VALUES (?, ?, ?, ?)", (sequence, *told))
            kept.execute("COMMIT")
    finally:
        if kept.in_transaction:
            kept.execute("ROLLBACK")
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await connection.close()


def consumed(file: Path) -> list[Told]:
    """What it was told, in that order."""
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as kept:
        try:
            return [Told(*row) for row in kept.execute("SELECT position, user, version FROM told ORDER BY sequence")]
        except sqlite3.OperationalError:
            return []


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], Path(sys.argv[2])))
