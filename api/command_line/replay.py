"""The log, replayed into a file, a folder or a stream."""

import asyncio
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from api import bootstrap
from api.command_line.console import notes, output
from domain.errors import ValidationFailed

COLUMNS: Final = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


def replay(
    to: Annotated[
        bootstrap.Form,
        typer.Option(help="A file with one CloudEvent a line, a folder of Parquet files, or a stream of JetStream."),
    ],
    output_: Annotated[
        str, typer.Option("--output", "-o", help="The file, the folder or the stream; it is made if it isn't there.")
    ],
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
    settings = bootstrap.settings()

    async def run(url: str) -> bootstrap.Replayed:
        try:
            selection = await bootstrap.replay_selection(url, org, kind, channel, toggle)
        except ValidationFailed as error:
            phrases = "; ".join(f"{field}: {phrase}" for field, phrase in error.details.items())
            raise typer.BadParameter(phrases) from None
        async with bootstrap.replay_destination(settings, to, output_, after, selection) as destination:
            # Not before it is known that there is something to be seen.
            with Progress(*COLUMNS, console=notes) as progress:
                task = progress.add_task("replaying", total=None)

                def show(position: int, end: int) -> None:
                    progress.update(task, completed=position, total=end)

                return await bootstrap.replay_into(url, destination, selection, show)

    with bootstrap.migrated_database(settings) as url:
        done = asyncio.run(run(url))
    output.print(f"{done.events} events, up to position {done.position}")
