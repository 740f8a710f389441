"""The schema, and the read model."""

import asyncio
import gc
from typing import Annotated

import typer

from api import bootstrap
from api.command_line.console import counted, notes, output
from api.command_line.progress import bar


def migrate() -> None:
    """Bring the database's schema up to date, and this release's catalogue into force.

    Safe to run at any time, also several times at once, and while users are served: where a dump holds a table, it is tried again. `catalogue diff` says beforehand what a new catalogue changes.
    """
    with bootstrap.suitable_database(bootstrap.settings()) as url:
        applied = bootstrap.migrate(url, notes.print)
    notes.print(f"{applied} applied." if applied else "The schema is up to date.")


def rebuild(
    compare_only: Annotated[
        bool, typer.Option("--compare-only", help="Compare, and leave the live table alone.")
    ] = False,
) -> None:
    """Rebuild the current preferences from the whole log, compare with the live ones, and swap.

    The service keeps running; while a dump holds the table, the swap is tried for some twenty seconds, and users are served.

    Exit code 1 if a user's row differed from what the log says (after the swap, it no longer does).
    """
    # Nothing that a rebuild makes refers to itself, and the collector would walk all of it time and again.
    gc.disable()
    with bootstrap.migrated_database() as url, bar("reading the log") as progress:
        result = asyncio.run(bootstrap.rebuild(url, progress, swap=not compare_only))
    output.print(
        f"{counted(result.events, 'event')}, {counted(result.users, 'user')}, up to position {result.position}"
    )
    output.print(f"log says   {result.comparison.rebuilt_checksum}")
    output.print(f"live table {result.comparison.live_checksum}")
    if result.equal:
        output.print("equal" if compare_only else "equal; swapped")
        return
    for difference in result.comparison.differences:
        output.print(f"  {difference}", markup=False)
    output.print(
        f"not equal: {counted(result.comparison.differing, 'user')}"
        + ("" if compare_only else "; the live table now says what the log says")
    )
    raise typer.Exit(1)
