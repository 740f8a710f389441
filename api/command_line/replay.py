"""The command that replays the log into a file, a folder or a stream."""

import asyncio
from typing import Annotated

import typer

from api import bootstrap
from api.command_line.console import counted, output
from api.command_line.misspelt import refusing_misspelt
from api.command_line.progress import bar
from application.feed.replay import Replayed


def replay(
    to: Annotated[
        bootstrap.replay_form.Form,
        typer.Option(help="A file with one CloudEvent per line, a folder of Parquet files, or a JetStream stream."),
    ],
    output_: Annotated[
        str, typer.Option("--output", "-o", help="The file, the folder or the stream. It is made if it doesn't exist.")
    ],
    after: Annotated[int, typer.Option(help="Only events after this position; 0 is the beginning.", min=0)] = 0,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only this type, e.g. notification-preferences.toggled.v1.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only choices in this channel, e.g. email.")] = None,
    toggle: Annotated[str | None, typer.Option(help="Only choices of this toggle, e.g. product_updates.")] = None,
    org: Annotated[str | None, typer.Option(help="Only events of this organization, and of the catalogue.")] = None,
) -> None:
    """Write every event up to the present end of the log, in log order.

    If you run it again, it goes on where it stopped, even after an interruption
    at any moment. Each event is written exactly once.
    """
    settings = bootstrap.settings()

    async def run(url: str, standby: str | None) -> Replayed:
        with refusing_misspelt():
            selection = await bootstrap.replays.replay_selection(url, org, kind, channel, toggle)
        async with bootstrap.replays.replay_destination(settings, to, output_, after, selection) as destination:
            # Show the bar only after the destination could be opened.
            with bar("replaying") as progress:
                return await bootstrap.replays.replay_into(url, standby, destination, selection, progress)

    with bootstrap.databases.migrated_database(settings) as url:
        done = asyncio.run(run(url, bootstrap.standby.caught_up(settings, url)))
    output.print(f"{counted(done.events, 'event')}, up to position {done.position}")
