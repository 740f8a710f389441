"""The follower that keeps the index of the audit log."""

from collections.abc import Sequence
from typing import Final, LiteralString

from typing_extensions import override

from application.followers import Follower
from application.ports import Recorded
from infrastructure.followers.journal import Connection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("audit_index")


class AuditIndexer(Follower[Connection]):
    """One statement a batch, and no memory: a crash or a failover of the database can take back what it was told, classes and
    all, and this object lives on."""

    name = "audit-index"

    @override
    async def handle(self, events: Sequence[Recorded], transaction: Connection) -> None:
        await transaction.execute(_QUERIES["index"], [events[0].position - 1, events[-1].position])

    @override
    async def reset(self, position: int, transaction: Connection) -> None:
        if position:
            await transaction.execute(_QUERIES["forget"], [position])
        else:
            await transaction.execute(_QUERIES["empty"])
