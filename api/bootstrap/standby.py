"""Lets a command read from the standby of READ_DATABASE_URL."""

import structlog

from infrastructure.postgres import wal
from infrastructure.settings import Settings

log = structlog.get_logger("read_replica")


def caught_up(settings: Settings, url: str) -> str | None:
    """The URL of the standby if it has all that the primary has at this moment, or gets it within READ_LAG_LIMIT seconds.

    None if the command has to read from the primary. `url` is the primary's.
    """
    if settings.read_database_url is None:
        return None
    reason = wal.shortfall(url, settings.read_database_url, settings.read_lag_limit)
    if reason is None:
        return settings.read_database_url
    log.warning("the read replica is not used: the primary is read instead", reason=reason)
    return None
