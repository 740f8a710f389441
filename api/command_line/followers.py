"""Commands that run and operate the followers of the log."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from api import bootstrap
from api.command_line.companion import end_with_parent
from api.command_line.console import notes, output
from api.command_line.ending import exit_on_signal, stop_when_told

Name = Annotated[str, typer.Argument(help="The follower's name, as `list` shows it.")]
T = TypeVar("T")


def follow(
    beside: Annotated[bool, typer.Option("--beside", hidden=True, help="End when standard input ends.")] = False,
) -> None:
    """Run the followers of the log until SIGTERM. If several processes run them, one leads and the others stand by.

    The same process writes checkpoints and runs the sweep.
    """

    async def run(url: str) -> None:
        stop = stop_when_told()
        if beside:
            end_with_parent()
        await asyncio.gather(
            bootstrap.followers.run_followers(url, followers, stop),
            bootstrap.evidence.checkpoint_regularly(settings, url, stop),
            bootstrap.sweep.sweep_regularly(settings, url, stop),
        )

    settings = bootstrap.settings()
    bootstrap.configure_logs(settings)
    exit_on_signal()  # Until the followers run, so that an embedded database is stopped.
    with (
        bootstrap.databases.migrated_database(settings, serving=True) as url,
        bootstrap.tracing.recording(settings) as spans,
    ):
        followers = bootstrap.tracing.traced(bootstrap.followers.registered(settings), spans)
        asyncio.run(run(url))


def list_followers() -> None:
    """List the followers: state, position, how far they are behind, and why a failed one stopped."""
    found = _with(lambda followers: followers.list())
    if not found:
        notes.print("There are no followers.")
        return
    table = Table("name", "state", "position", "events behind", "seconds behind", "stopped by", "why", box=SIMPLE_HEAD)
    for of in found:
        numbers = (str(of.position), f"{of.lag_events:,}", f"{of.lag_seconds:,.1f}")
        stopped_by = "-" if of.failed_position is None else f"position {of.failed_position}"
        table.add_row(of.name, of.state, *numbers, stopped_by, Text(of.failure or "-"))
    output.print(table)


def pause(name: Name) -> None:
    """Pause a follower at its position until `resume`. Exit code 1 if there is no such follower."""
    _with(lambda followers: followers.pause(name))
    notes.print(f"{name} is paused.", markup=False)


def resume(name: Name) -> None:
    """Resume a follower that is paused, or that an event has stopped. Exit code 1 if there is no such follower."""
    _with(lambda followers: followers.resume(name))
    notes.print(f"{name} goes on.", markup=False)


def reset(
    name: Name,
    to: Annotated[int, typer.Option(help="The position to go back to; 0 is the beginning.", min=0)] = 0,
) -> None:
    """Set a follower back: undo its effects of all events after a position. The events come again. Exit code 1 if it can't."""
    _with(lambda followers: followers.reset(name, to))
    notes.print(f"{name} is at position {to}.", markup=False)


def _with(use: "Callable[[bootstrap.followers.Followers], Awaitable[T]]") -> T:
    async def run(url: str) -> T:
        async with bootstrap.followers.open_followers(settings, url) as followers:
            return await use(followers)

    settings = bootstrap.settings()
    with bootstrap.databases.migrated_database(settings) as url:
        return asyncio.run(run(url))
