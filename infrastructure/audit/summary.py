"""How many choices were made on each day: read from the counts that the audit index keeps."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from typing_extensions import override

from application.audit.filter import AuditFilter
from application.audit.log import IndexProgress
from application.audit.summary import CountedClass, DailyCounts, DailyIndex, DayCount
from infrastructure.audit.index import AuditIndexer
from infrastructure.audit.log import PostgresAuditLog, read_indexed
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.postgres.sql import queries


class Parts(NamedTuple):
    """The whole UTC days between two instants, from `first_day` to the day before `end_day`, and where the cut days beside them end and
    begin. If there is no whole day, `cut_before` is the end of it all.
    """

    first_day: date
    end_day: date
    cut_before: datetime
    cut_after: datetime


class PostgresDailyIndex(DailyIndex):
    def __init__(self, database: ReadDatabase, log: PostgresAuditLog) -> None:
        self._database = database
        self._log = log
        self._statement = queries("audit_summary")["by_day"]

    @override
    async def by_day(
        self, organization: str, wanted: AuditFilter, since: datetime, until: datetime, *, at_least: int
    ) -> DailyCounts:
        parameters = {
            "follower": AuditIndexer.name,
            "organization": organization,
            "actor_kind": wanted.actor_kind,
            "channel": wanted.channel,
            "toggle": wanted.toggle,
            "enabled": wanted.enabled,
            "source": wanted.source,
            "since": since,
            "until": until,
            **parts(since, until)._asdict(),
        }

        async def read(connection: Connection) -> DailyCounts:
            rows = await connection.rows(self._statement, parameters, prepare=False)
            found = [row for row in rows if row[1] is not None]
            counted = [CountedClass(*row[1:7]) for row in found]
            named = {position for one in counted for position in (one.oldest, one.newest) if position is not None}
            witnesses = await read_indexed(connection, sorted(named), rows[0][0] or 0, at_least)
            counts = [(one, row[7], row[8]) for one, row in zip(counted, found, strict=True)]
            return DailyCounts(merged(counts, parameters["first_day"]), counted, witnesses)

        return await self._database.read(read)

    @override
    async def complete_until(self) -> IndexProgress:
        return await self._log.complete_until()


def parts(since: datetime, until: datetime) -> Parts:
    if since.date() >= until.date():
        return Parts(until.date(), until.date(), until, until)
    end = until.date()
    first = since.date() if since.timetz() == time(tzinfo=UTC) else since.date() + timedelta(days=1)
    return Parts(first, end, datetime.combine(first, time(), UTC), datetime.combine(end, time(), UTC))


def merged(counts: Iterable[tuple[CountedClass, Sequence[int], Sequence[int]]], base: date) -> list[DayCount]:
    """The counts of all classes, ordered by day, channel, toggle and source. Each class comes with its days, counted from `base`, and
    with the number of entries of each.

    Sorting the kinds, of which there are some dozens, takes a small part of the time that sorting the rows takes.
    """
    by_kind: dict[tuple[str, str, str], tuple[dict[int, int], dict[int, int]]] = {}
    for one, days, entries in counts:
        of_kind = by_kind.setdefault((one.channel, one.toggle, one.source), ({}, {}))
        summed = of_kind[one.enabled]
        for day, number in zip(days, entries, strict=True):
            summed[day] = summed.get(day, 0) + number
    kinds = sorted(by_kind.items())
    rows = []
    for day in sorted({day for off, on in by_kind.values() for day in (*off, *on)}):
        name = (base + timedelta(days=day)).isoformat()
        for (channel, toggle, source), (off, on) in kinds:
            opt_ins, opt_outs = on.get(day, 0), off.get(day, 0)
            if opt_ins or opt_outs:
                rows.append(DayCount(name, channel, toggle, source, opt_ins, opt_outs))
    return rows
