"""The progress bar of long commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from api.command_line.console import notes


@contextmanager
def bar(task: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar. Call it with the amount done and the total amount."""
    with bars(task) as (told,):
        yield told


@contextmanager
def bars(*tasks: str) -> Iterator[list[Callable[[int, int], None]]]:
    """The same for several tasks that run in parallel."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes) as progress:
        yield [_told(progress, progress.add_task(task, total=None)) for task in tasks]


def _told(progress: Progress, shown: TaskID) -> Callable[[int, int], None]:
    return lambda done, total: progress.update(shown, completed=done, total=total)
