"""The daily counts of the audit index, checked against its entries. Another leg checks the entries against the log."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from typing_extensions import override

from application.evidence.sweep import MAX_FINDINGS, Finding, StepResult, Subject
from infrastructure.evidence.sweep.leg import Connection, Leg, Look, State
from infrastructure.postgres.sql import queries

AT_ONCE: Final = 65_536
_BEGINNING: Final = (-(2**31), "0001-01-01")
_END: Final = (2**31 - 1, "9999-12-31")
_QUERIES: Final[dict[str, LiteralString]] = queries("sweep_counts")


class DailyCountsLeg(Leg):
    name: Final = "audit-daily-counts"
    at_once: Final = AT_ONCE

    @override
    def hold(self, connection: Connection) -> None:
        connection.execute(_QUERIES["hold"])

    @override
    def ready(self) -> AbstractContextManager[Look]:
        return nullcontext(look)


class _Compared(NamedTuple):
    """A stretch of classes and days, as the parameters of its statements. `differing` is the number of wrong counts, of which `findings`
    has the first ones.
    """

    stretch: dict[str, Any]
    complete: bool
    entries: int
    differing: int
    findings: list[Finding]


def look(connection: Connection, state: State, limit: int) -> StepResult:
    """Check the counts behind the class and day of `state`, in the order of classes and days."""
    compared = _compare(connection, _BEGINNING if state is None else (int(state["class"]), str(state["day"])), limit)
    last = {"class": compared.stretch["last_class"], "day": compared.stretch["last_day"]}
    return StepResult(None if compared.complete else last, compared.entries, compared.findings)


def compare_counts(connection: Connection, *, repair: bool) -> tuple[int, list[str]]:
    """Check all counts: how many are wrong, and sentences about the first ones of each stretch. With `repair`, the wrong stretches are counted
    again. For each, the follower waits for a fraction of a second.
    """
    if repair:
        while connection.execute(_QUERIES["uncounted"]).fetchall():
            _in_a_standstill(connection, "count_uncounted")
    differing, sentences = 0, list[str]()
    after: tuple[int, str] | None = _BEGINNING
    while after is not None:
        with connection.transaction():
            connection.execute(_QUERIES["hold"])
            compared = _compare(connection, after, AT_ONCE)
        differing += compared.differing
        sentences += [finding.sentence for finding in compared.findings]
        if compared.differing and repair:
            _in_a_standstill(connection, "remove", "count", **compared.stretch)
        stretch = compared.stretch
        after = None if compared.complete else (stretch["last_class"], stretch["last_day"])
    return differing, sentences


def _compare(connection: Connection, after: tuple[int, str], limit: int) -> _Compared:
    start = dict(zip(("class", "day"), after, strict=True))
    ends = connection.execute(_QUERIES["end"], {**start, "limit": limit}).fetchall()
    last_class, last_day = ends[0] if ends else _END
    stretch = {**start, "last_class": last_class, "last_day": str(last_day)}
    rows = connection.execute(_QUERIES["compare"], {**stretch, "most": MAX_FINDINGS}).fetchall()
    findings = [
        Finding(
            Subject.AUDIT_INDEX,
            f"class {number} on {day}",
            f"the audit index counts {counted} entries of class {number} on {day} and has {due}: "
            "`preferences rebuild audit-index` mends it",
        )
        for number, day, counted, due, _, _ in rows
        if number is not None
    ]
    differing = rows[0][4] or 0
    if differing > len(findings):
        place = f"class {after[0]} on {after[1]} to class {last_class} on {last_day}"
        sentence = f"{differing} daily counts of the audit index are wrong from {place}, of which the first {len(findings)} are named"
        findings.append(Finding(Subject.AUDIT_INDEX, place, sentence))
    return _Compared(stretch, not ends, rows[0][5], differing, findings)


def _in_a_standstill(connection: Connection, *names: str, **stretch: Any) -> None:
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    with connection.transaction():
        for name in ("keep_still", *names):
            connection.execute(_QUERIES[name], stretch)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
