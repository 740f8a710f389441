"""Making the index of the audit log right again where it isn't what the log says, while it is read and written."""

from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from application.progress import Progress
from infrastructure.evidence.sweep import index_leg
from infrastructure.evidence.sweep.daily_counts import compare_counts
from infrastructure.evidence.sweep.leg import Connection, sweeping
from infrastructure.postgres.sql import queries

AT_ONCE: Final = 16_384
"""Events of a stretch: the follower waits while one is made anew, for a fraction of a second."""

_LOOK: Final[dict[str, LiteralString]] = queries("sweep_index")
_QUERIES: Final[dict[str, LiteralString]] = queries("index_repair")


@dataclass(slots=True)
class IndexComparison:
    """The index beside the log, as far as it is. `named` has a sentence for each of the first entries of each stretch that differ, and for
    each of the first daily counts that are wrong.
    """

    events: int = 0
    position: int = 0
    differing: int = 0
    wrong_counts: int = 0
    named: list[str] = field(default_factory=list)


def compare_index(url: str, progress: Progress = lambda _done, _about: None, *, repair: bool) -> IndexComparison:
    """Stretch by stretch. With `repair`, one that differs is made anew: in one transaction, in which the follower waits."""
    found = IndexComparison()
    with sweeping(url) as connection:
        complete = False
        while not complete:
            after = found.position
            with connection.transaction():
                connection.execute(_LOOK["hold"])
                stretch = index_leg.stretch(connection, after, AT_ONCE)
                rows = _rows(connection, _LOOK["compare"], after=after, up_to=stretch.up_to, most=20)
                differing = rows[0][-1] if rows else 0
                findings = [*index_leg.differing(rows, after, stretch.up_to)]
                if stretch.complete:
                    outside = index_leg.outside(connection, stretch.up_to)
                    differing, findings = differing + len(outside), findings + outside
                found.events += stretch.events
            found.differing += differing
            found.named += [finding.sentence for finding in findings]
            found.position, complete = max(stretch.up_to, after), stretch.complete
            if differing and repair:
                _repair(connection, after, stretch.up_to)
            progress(found.position, max(found.position, stretch.stands_at))
        # Last, because making entries again counts them: where an entry was altered, its removal is counted down elsewhere.
        found.wrong_counts, sentences = compare_counts(connection, repair=repair)
        found.named += sentences
    return found


def _repair(connection: Connection, after: int, up_to: int) -> None:
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    with connection.transaction():
        [(stands_at,)] = _rows(connection, _QUERIES["hold"])
        # Set back meanwhile, it makes the rest itself.
        up_to = min(up_to, stands_at)
        connection.execute(_QUERIES["remove"], {"after": after, "up_to": up_to})
        connection.execute(_QUERIES["remove_outside"], {"stands_at": stands_at})
        connection.execute(queries("audit_index")["index"], [after, max(after, up_to)])
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ


def _rows(connection: Connection, statement: LiteralString, **parameters: Any) -> list[Any]:
    return connection.execute(statement, parameters).fetchall()
