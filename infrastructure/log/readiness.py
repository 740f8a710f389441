"""The questions that a process asks its database to know whether it can serve."""

from collections.abc import Sequence
from typing import Final, LiteralString, NamedTuple, cast

import psycopg

from domain.errors import Unavailable
from domain.events import CataloguePublished
from domain.published_catalogues import STREAM, PublishedCatalogues
from infrastructure.log.event_codec import decode
from infrastructure.postgres.connection import LoginRefused, RightMissing
from infrastructure.postgres.database import Database
from infrastructure.postgres.migrations import Applied
from infrastructure.postgres.sql import queries
from infrastructure.postgres.suitability import READ_ONLY

_QUERY: Final[LiteralString] = queries("readiness")["readiness"].replace(
    "{lacking}", queries("rights")["lacking"].removesuffix(";")
)


class Readiness(NamedTuple):
    """`database`: the problem with it, or None. The other fields are None if the database could not be asked. `applied` lists the
    migrations that it has.
    """

    database: str | None
    applied: Sequence[Applied] | None = None
    published: PublishedCatalogues | None = None


async def readiness(database: Database) -> Readiness:
    try:
        rows = await database.fetch_in_time(_QUERY, {"stream": STREAM, "parts": ["serve"]})
    except psycopg.errors.UndefinedTable:
        return Readiness(None, [])
    except LoginRefused:
        return Readiness("refuses the login")
    except RightMissing as error:
        return Readiness(error.reason)
    except (Unavailable, OSError):
        return Readiness("can't be reached")
    except psycopg.Error as error:
        return Readiness(f"answers with an error: {type(error).__name__}")
    read_only, lacking, applied, *_ = rows[0]
    if read_only:
        # If another server is the primary by now, a new connection leads there.
        await database.start_anew()
    published = [cast("CataloguePublished", decode(*event)) for _, _, _, *event in rows if event[0] is not None]
    return Readiness(
        READ_ONLY if read_only else lacking,
        [Applied(*migration) for migration in applied or []],
        PublishedCatalogues(published),
    )
