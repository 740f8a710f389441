"""Commands that export the audit log, and list its readings."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, nullcontext
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from ulid_transform import ulid_now

from api import bootstrap
from api.command_line.console import counted, notes, output
from api.command_line.misspelt import refusing_misspelt
from api.command_line.private_file import private_file
from api.command_line.progress import bar
from application.audit.filter import AuditFilter
from application.identity import OrganizationReader
from application.progress import Progress
from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from domain.provenance import Source
from projections.audit_log import Action, AuditEntry
from projections.shown_actor import ActorKind


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


def _instant(text: str) -> datetime:
    # Not above, nor further down: it brings pydantic, which the help of all commands would wait for.
    from pydantic import TypeAdapter, ValidationError

    from api.http.instants import Instant

    try:
        return cast("datetime", TypeAdapter(Instant).validate_python(text))
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from None


def export(
    org: Annotated[str, typer.Option(help="The organization.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write. It appears only when it is complete. Default: standard output."
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="NDJSON keeps every character; CSV is for spreadsheets.")
    ] = Format.NDJSON,
    action: Annotated[Action | None, typer.Option(help="Only this action.")] = None,
    user: Annotated[str | None, typer.Option(help="Only changes of this user's preferences.")] = None,
    actor_kind: Annotated[ActorKind | None, typer.Option(help="Only changes by customers, or by our staff.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only choices in this channel.")] = None,
    toggle: Annotated[str | None, typer.Option(help="Only choices of toggles with this name.")] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Only choices that switch a toggle on, or off.")
    ] = None,
    source: Annotated[Source | None, typer.Option(help="Only changes from this source.")] = None,
    since: Annotated[
        datetime | None, typer.Option(parser=_instant, metavar="TIME", help="Only changes at this time or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=_instant, metavar="TIME", help="Only changes before this time.")
    ] = None,
    *,
    payload: Annotated[
        bool, typer.Option("--payload", help="Add the recorded choices before and after to NDJSON.")
    ] = False,
) -> None:
    """Export an organization's audit log, newest first. The export itself is recorded as a reading."""
    stream = stream_id(org, user) if user is not None else None
    wanted = AuditFilter(action, stream, actor_kind, channel, toggle, enabled, source, since, until)
    with refusing_misspelt():
        # Only the database knows former channels and toggles. The times can be checked without it.
        AuditFilter(since=since, until=until).check(CATALOGUE)

    async def run(url: str, standby: str | None, target: BinaryIO, progress: Progress) -> tuple[int, datetime | None]:
        async with bootstrap.audit.open_audit(url, standby) as audit:
            total = await audit.index.count(org, wanted)
            reader = OrganizationReader(org, bootstrap.audit.OPERATOR)
            entries, complete_until = await audit.log.export(
                reader, wanted, form=form, request_id=ulid_now(), payload=payload
            )
            return await _write(entries, target, form, progress, total, payload=payload), complete_until

    settings = bootstrap.settings()
    with bootstrap.databases.migrated_database(settings) as url:
        with refusing_misspelt():
            asyncio.run(bootstrap.catalogues.ever_known(url, wanted.check))
        standby = bootstrap.standby.caught_up(settings, url)
        to = nullcontext(sys.stdout.buffer) if file is None else private_file(file)
        with to as target, bar("exporting") as progress:
            count, complete_until = asyncio.run(run(url, standby, target, progress))
    notes.print(counted(count, "entry", "entries") + (f" in {file}" if file else ""), markup=False, soft_wrap=True)
    if complete_until is None:
        notes.print("Nothing was ever taken into the audit log: `preferences follow` does that.")
    else:
        from api.http.instants import shown

        notes.print(f"Complete with everything that was recorded until {shown(complete_until)}.")


def reads(
    org: Annotated[
        str | None,
        typer.Option(help="The organization; without it, the readings of users without an organization."),
    ] = None,
    limit: Annotated[int, typer.Option(help="The maximum number of readings, newest first.", min=1)] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List who read data of an organization's users: when, which data, with which filter, and how many entries."""

    async def run(url: str) -> "Sequence[bootstrap.ListedReading]":
        async with bootstrap.audit.open_audit(url) as audit:
            return await audit.reads.list(org, limit=limit)

    with bootstrap.databases.migrated_database() as url:
        found = asyncio.run(run(url))
    if json:
        for reading in found:
            typer.echo(orjson.dumps(reading))
        return
    if not found:
        notes.print("No reading is recorded.")
        return
    table = Table(
        "when (UTC)", "who", "on behalf of them", "what", "filter", "entries", "end", "request", box=SIMPLE_HEAD
    )
    for reading in found:
        table.add_row(
            f"{reading.at:%Y-%m-%d %H:%M:%S}",
            Text(reading.reader),
            Text(reading.impersonator or "-"),
            reading.action,
            Text(" ".join(f"{name}={value}" for name, value in reading.filter.items())),
            "-" if reading.count is None else str(reading.count),
            reading.outcome or "unknown",
            reading.request_id,
        )
    output.print(table)


async def _write(
    chunks: AsyncGenerator[list[AuditEntry], None],
    target: BinaryIO,
    form: Format,
    progress: Progress,
    total: int,
    *,
    payload: bool,
) -> int:
    from api.audit.entries import as_lines, as_rows, header

    count = 0
    if form is Format.CSV:
        target.write(header())
    async with aclosing(chunks):
        async for entries in chunks:
            target.write(as_rows(entries) if form is Format.CSV else as_lines(entries, payload=payload))
            count += len(entries)
            progress(count, max(count, total))
    target.flush()
    return count
