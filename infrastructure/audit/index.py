"""The follower that keeps the audit index."""

from typing import Final, LiteralString

from typing_extensions import override

from application.followers import Stretch, StretchFollower
from infrastructure.postgres.connection import AnyConnection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("audit_index")


class AuditIndexer(StretchFollower[AnyConnection]):
    """Runs one statement for each batch and remembers nothing. A crash or a failover of the database can undo what was written, also the
    rows of `audit_classes`, while this object lives on.
    """

    name = "audit-index"

    @override
    async def handle_stretch(self, stretch: Stretch, transaction: AnyConnection) -> None:
        await transaction.execute(_QUERIES["index"], [stretch.after, stretch.up_to])

    @override
    async def reset(self, position: int, transaction: AnyConnection) -> None:
        if position:
            await transaction.execute(_QUERIES["forget"], [position])
        else:
            await transaction.execute(_QUERIES["empty"])
