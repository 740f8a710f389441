"""The follower that keeps the audit index."""

from collections.abc import Sequence
from typing import Final, LiteralString

from typing_extensions import override

from application.followers import Follower
from application.log import Recorded
from infrastructure.followers.journal import Connection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("audit_index")


class AuditIndexer(Follower[Connection]):
    """Runs one statement for each batch and remembers nothing. A crash or a failover of the database can undo what was written, also the
    rows of `audit_classes`, while this object lives on.
    """

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
