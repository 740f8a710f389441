"""The audit indexer as it once was, for tests that must see it fail: it remembers the numbers of classes for as long as the
process lives, while the database may lose what it was told."""

from collections.abc import Set as AbstractSet
from typing import Any, Final

import orjson

from application.followers import Stretch
from infrastructure.audit.index import AuditIndexer
from infrastructure.log.event_log import read_after
from infrastructure.postgres.connection import AnyConnection
from tests.support.index_rows import EventClass, index_row

_CLASSES: Final = """
    json_to_recordset(%s::json)
    AS (organization text, action text, channel text, toggle text, enabled boolean, source text, actor_kind text)
"""

_FIND: Final = f"""
    SELECT c.class, nth::integer
    FROM ROWS FROM ({_CLASSES}) WITH ORDINALITY
         AS k (organization, action, channel, toggle, enabled, source, actor_kind, nth)
    JOIN audit_classes c ON (c.organization, c.action, c.source, c.actor_kind) = (k.organization, k.action, k.source, k.actor_kind)
     AND (c.channel, c.toggle, c.enabled) IS NOT DISTINCT FROM (k.channel, k.toggle, k.enabled)
"""

_ADD: Final = f"""
    INSERT INTO audit_classes (organization, action, channel, toggle, enabled, source, actor_kind)
    SELECT organization, action, channel, toggle, enabled, source, actor_kind
    FROM ROWS FROM ({_CLASSES}) WITH ORDINALITY
         AS k (organization, action, channel, toggle, enabled, source, actor_kind, nth)
    ORDER BY nth
    RETURNING class
"""

_ENTRIES: Final = """
    INSERT INTO audit_entries (position, occurred_at, originator_id, class)
    SELECT * FROM json_to_recordset(%s::json)
         AS e (position bigint, occurred_at timestamptz, originator_id uuid, class integer)
"""


class RememberingIndexer(AuditIndexer):
    def __init__(self) -> None:
        self._numbers: dict[EventClass, int] = {}

    async def handle_stretch(self, stretch: Stretch, transaction: AnyConnection) -> None:
        events = await read_after(transaction, stretch.after, stretch.events)
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
        await _run(transaction, _ENTRIES, entries)

    async def _numbered(self, classes: AbstractSet[EventClass], transaction: AnyConnection) -> dict[EventClass, int]:
        if classes <= self._numbers.keys():
            return self._numbers
        asked = list(classes - self._numbers.keys())
        cursor = await _run(transaction, _FIND, [of._asdict() for of in asked])
        self._numbers |= {asked[nth - 1]: number for number, nth in await cursor.fetchall()}
        new = [of for of in asked if of not in self._numbers]
        if not new:
            return self._numbers
        cursor = await _run(transaction, _ADD, [of._asdict() for of in new])
        return self._numbers | {of: number for of, (number,) in zip(new, await cursor.fetchall(), strict=True)}


async def _run(transaction: AnyConnection, statement: str, rows: list[dict[str, Any]]) -> Any:
    return await transaction.execute(statement, [orjson.dumps(rows).decode()])
