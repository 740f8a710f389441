"""Opt-ins and opt-outs of a year by day, from a log of a year: a whole year, one that begins and ends within a day, and one toggle of it."""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from statistics import quantiles

from application.audit.filter import AuditFilter
from application.audit.reads import AuditReads, Reading, Readings
from application.audit.summary import AuditSummary
from application.identity import OrganizationReader
from bench.goals import Figure
from bench.parts.audit_log import bring_to_memory
from bench.stage import Stage
from bench.varied_log import BEGIN, LARGE, TOGGLES, fill, people
from infrastructure.audit.log import PostgresAuditLog, open_database
from infrastructure.audit.summary import PostgresDailyIndex
from infrastructure.postgres import migrations
from infrastructure.postgres.read_database import ReadDatabase

NAME = "audit_summary"
YEAR = timedelta(days=365)
DAY = timedelta(days=1)


class _Unrecorded(AuditReads):
    """The reading is one insert, as for each page. It is not measured here."""

    async def record(self, reading: Reading, count: int) -> None:
        pass


def measure(stage: Stage) -> list[Figure]:
    events = stage.size.audit_events
    with stage.database() as url:
        migrations.migrate(url)
        users = max(events // 10, 40)
        fill(url, users, events, every=YEAR / events)
        stage.settle()
        bring_to_memory(url)
        took, rows = asyncio.run(_summaries(url, users, stage.size.audit_pages // 4))
    p99 = {name: quantiles(times, n=100)[98] for name, times in took.items()}
    slowest = max(p99, key=lambda name: p99[name])
    each = "; ".join(
        f"{name}: p50 {quantiles(took[name], n=100)[49]:.1f}, p99 {p99[name]:.1f} ms, {rows[name]:,} rows"
        for name in took
    )
    return [Figure("audit_summary.p99", p99[slowest], f"{events:,} events; {each}")]


def _questions(users: int) -> Iterator[tuple[str, str, AuditFilter]]:
    [(small, _)] = islice(people(users), 1)
    year = AuditFilter(since=BEGIN, until=BEGIN + YEAR)
    cut = timedelta(hours=7)
    yield "a year", LARGE, year
    yield "a year from within a day", LARGE, AuditFilter(since=BEGIN + cut, until=BEGIN + YEAR - cut)
    yield "one toggle", LARGE, AuditFilter(toggle=TOGGLES[0], since=BEGIN, until=BEGIN + YEAR)
    yield "a month", LARGE, AuditFilter(since=BEGIN + 100 * DAY, until=BEGIN + 130 * DAY)
    yield "a year of a small organization", small, year


async def _summaries(url: str, users: int, times: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    questions = list(_questions(users))
    took: dict[str, list[float]] = {name: [] for name, *_ in questions}
    rows: dict[str, int] = {}
    async with open_database(url) as database:
        readings = Readings(_Unrecorded(), iter(str, None), datetime.now)
        summary = AuditSummary(
            PostgresDailyIndex(ReadDatabase(database), PostgresAuditLog(ReadDatabase(database))), readings, datetime.now
        )
        for number in range(times + 1):
            for name, organization, wanted in questions:
                reader = OrganizationReader(organization, "user:bench")
                started = time.perf_counter()
                found = await summary.by_day(reader, wanted, form="application/json", request_id="")
                rows[name] = len(found.days)
                if number:
                    took[name].append((time.perf_counter() - started) * 1000)
    return took, rows
