"""Evidence: what the log was, that it still is, and what it says about somebody."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from api import bootstrap
from api.command_line.console import notes, output

SHOWN: Final = 20
"""Faults that are listed."""

cli = typer.Typer(help="Sign what the log is, verify that it still is, and hand out evidence.", no_args_is_help=True)


@cli.command("public-key")
def public_key() -> None:
    """Print the key that checkpoints are verified with. Give it to whoever shall verify, by a way that they trust."""
    typer.echo(bootstrap.public_key(bootstrap.settings()))


@cli.command()
def checkpoint() -> None:
    """Sign what the log is now, in the database and in CHECKPOINT_FILE. Exit code 1 if it isn't what was signed before."""
    settings = bootstrap.settings()
    with bootstrap.migrated_database(settings) as url:
        written = bootstrap.checkpoint(settings, url)
    if written is None:
        notes.print("Nothing to do: there are no events since the last checkpoint.")
        return
    output.print(f"{written.size} events, up to position {written.position}, root {written.root.hex()}")


@cli.command()
def verify(
    checkpoint: Annotated[
        Path | None, typer.Option(help="Hold the log to the checkpoints in this file instead of CHECKPOINT_FILE.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="Trust this public key instead of our own. Repeat for several.")
    ] = None,
) -> None:
    """Compute everything anew from the events, and hold it to the tree and to every signed checkpoint.

    Exit code 1 if anything differs. The first position that was altered, added, reordered or is missing is named.
    """
    settings = bootstrap.settings()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with bootstrap.migrated_database(settings) as url, Progress(*columns, console=notes) as progress:
        task = progress.add_task("verifying the log", total=None)
        verdict = bootstrap.verify(
            settings,
            url,
            key or (),
            checkpoint,
            lambda done, about: progress.update(task, completed=done, total=about),
        )
    output.print(f"{verdict.events} events, up to position {verdict.position}")
    if (covered := verdict.covered) is not None:
        output.print(
            f"{covered.size} of them, up to position {covered.position}, are as signed on "
            f"{covered.time:%Y-%m-%d %H:%M:%S} UTC ({verdict.checkpoints} checkpoints agree)"
        )
    if verdict.uncovered:
        output.print(f"{verdict.uncovered} are not covered by a checkpoint yet")
    for fault in verdict.faults[:SHOWN]:
        output.print(f"  {fault.sentence}", markup=False, soft_wrap=True)
    if not verdict.good:
        output.print(
            "The log was altered." if verdict.altered else "What is kept beside the log as evidence isn't whole."
        )
        raise typer.Exit(1)
    output.print("Nothing was altered.")
