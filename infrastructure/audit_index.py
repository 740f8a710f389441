"""The follower that keeps the index of the audit log."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, LiteralString

import orjson
from typing_extensions import override

from application.followers import Follower
from application.ports import Recorded
from infrastructure.follower_journal import Connection
from infrastructure.sql import queries
from projections.audit_log import EventClass, index_row

REMEMBERED: Final = 100_000
"""Numbers of classes kept in memory: some tens of megabytes at the most."""

_QUERIES: Final[dict[str, LiteralString]] = queries("audit_index")


class AuditIndexer(Follower[Connection]):
    """Two statements a batch: one more for classes that it hasn't met yet, and another for those that nobody has."""

    name = "audit-index"

    def __init__(self) -> None:
        self._numbers: dict[EventClass, int] = {}
        self._read_on: Connection | None = None

    @override
    async def handle(self, events: Sequence[Recorded], transaction: Connection) -> None:
        rows = [(position, row) for position, event in events if (row := index_row(event)) is not None]
        numbers = await self._numbered({row.of for _, row in rows}, transaction)
        entries = [
            {
                "position": position,
                "occurred_at": row.occurred_at,
                "originator_id": row.stream,
                "class": numbers[row.of],
            }
            for position, row in rows
        ]
        await _run(transaction, "add_entries", entries)

    @override
    async def reset(self, position: int, transaction: Connection) -> None:
        if position:
            await transaction.execute(_QUERIES["forget"], [position])
        else:
            await transaction.execute(_QUERIES["empty"])

    async def _numbered(self, classes: AbstractSet[EventClass], transaction: Connection) -> dict[EventClass, int]:
        # Behind another connection there may be another server, which lacks numbers that were read on the one before.
        if self._read_on is not transaction:
            self._numbers.clear()
            self._read_on = transaction
        if classes <= self._numbers.keys():
            return self._numbers
        if len(self._numbers) > REMEMBERED:
            self._numbers.clear()
        asked = list(classes - self._numbers.keys())
        cursor = await _run(transaction, "find_classes", [of._asdict() for of in asked])
        self._numbers |= {asked[nth - 1]: number for number, nth in await cursor.fetchall()}
        new = [of for of in asked if of not in self._numbers]
        if not new:
            return self._numbers
        cursor = await _run(transaction, "add_classes", [of._asdict() for of in new])
        # Not remembered: if this transaction fails, they will not have been there. The next batch finds them.
        return self._numbers | {of: number for of, (number,) in zip(new, await cursor.fetchall(), strict=True)}


async def _run(transaction: Connection, name: str, rows: list[dict[str, Any]]) -> Any:
    # One JSON document is made in a fraction of the time that the driver needs for arrays.
    return await transaction.execute(_QUERIES[name], [orjson.dumps(rows).decode()])
