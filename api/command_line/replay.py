"""The log, replayed into files."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from api import bootstrap
from api.command_line.console import notes, output
from domain.errors import ValidationFailed


def replay(
    to: Annotated[
        bootstrap.Form, typer.Option(help="A file with one CloudEvent a line, or a folder of Parquet files.")
    ],
    output_: Annotated[Path, typer.Option("--output", help="The file, or the folder; it is made if it isn't there.")],
    after: Annotated[int, typer.Option(help="Only events behind this position; 0 is the beginning.", min=0)] = 0,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only this type, e.g. notification-preferences.toggled.v1.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only choices in this channel, e.g. email.")] = None,
    toggle: Annotated[str | None, typer.Option(help="Only choices of this toggle, e.g. product_updates.")] = None,
    org: Annotated[str | None, typer.Option(help="Only events of this organization, and of the catalogue.")] = None,
) -> None:
    """Write every event up to where the log ends now, in its order.

    Run again, also after an interruption at any moment, it goes on where it was: each event is there exactly once.
    """
    try:
        selection = bootstrap.replay_selection(org, kind, channel, toggle)
    except ValidationFailed as error:
        raise typer.BadParameter("; ".join(f"{field}: {phrase}" for field, phrase in error.details.items())) from None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        bootstrap.migrated_database() as url,
        bootstrap.replay_destination(to, output_, after, selection) as destination,
        Progress(*columns, console=notes) as progress,
    ):
        task = progress.add_task("replaying", total=None)
        done = asyncio.run(
            bootstrap.replay_into(
                url,
                destination,
                selection,
                lambda position, end: progress.update(task, completed=position, total=end),
            )
        )
    output.print(f"{done.events} events, up to position {done.position}")
