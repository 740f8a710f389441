"""The command that shows the sweep: how far it is, and its findings."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from api import bootstrap
from api.command_line.console import counted, notes, output


def sweep(
    now: Annotated[bool, typer.Option("--now", help="First sweep everything at once.")] = False,
) -> None:
    """Show how far the sweep is, and its findings. The sweep checks log, tree, read model, keys and audit index against the log.

    `preferences follow` sweeps slowly, one pass within SWEEP_WITHIN seconds. Exit
    code 1 if there are findings.
    """
    settings = bootstrap.settings()
    with bootstrap.databases.migrated_database(settings) as url:
        if now:
            bootstrap.configure_logs(settings)
            asyncio.run(bootstrap.sweep.sweep_now(settings, url))
        status = asyncio.run(bootstrap.sweep.swept(url))
    if not status.legs:
        notes.print("Nothing was swept yet: is `preferences follow` running, with SWEEP_WITHIN above 0?")
    table = Table("leg", "this pass (UTC)", "done", "events", "last complete (UTC)", box=SIMPLE_HEAD)
    for leg in status.legs:
        completed = "never" if leg.completed_at is None else _at(leg.completed_at)
        table.add_row(leg.leg, _at(leg.began_at), f"{leg.progress:.0%}", f"{leg.events:,}", completed)
    output.print(table)
    for found in status.findings:
        output.print(f"  {_at(found.found_at)}  {found.finding.sentence}", markup=False, soft_wrap=True)
    if status.findings:
        output.print(f"{counted(len(status.findings), 'finding')}.")
        raise typer.Exit(1)
    output.print("Nothing was found.")


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"
