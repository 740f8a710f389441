"""Says whether readers of the log wait for synchronous standbys, and how far these are."""

from application.log import Replication
from infrastructure.log.replicated_end import ReplicatedEnd, replication
from infrastructure.postgres.database import Database
from infrastructure.settings import Settings


def replicated_end(settings: Settings) -> ReplicatedEnd | None:
    """Where the log ends for one reader, or for all of a process; None if it ends with its last event."""
    return ReplicatedEnd() if replicated(settings) else None


def replicated(settings: Settings) -> bool:
    return settings.database_replication == "synchronous"


async def replication_status(settings: Settings, database: Database) -> Replication | None:
    return await replication(database) if replicated(settings) else None
