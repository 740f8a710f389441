"""Commands that migrate the schema, and rebuild the read model and the audit index."""

import asyncio
import gc
from enum import StrEnum
from typing import Annotated, Final

import typer

from api import bootstrap
from api.command_line.console import counted, notes, output
from api.command_line.progress import bar

SHOWN: Final = 20
"""Entries of the index that are listed, at most."""


def migrate() -> None:
    """Bring the database's schema up to date, and publish this release's catalogue.

    It is safe to run at any time, also several times at once, and while users are
    served. While a dump holds a table, it tries again. `catalogue diff` shows the
    changes of a new catalogue beforehand.
    """
    with bootstrap.databases.suitable_database(bootstrap.settings()) as url:
        applied = bootstrap.databases.migrate(url, notes.print)
    notes.print(f"{applied} applied." if applied else "The schema is up to date.")


class Rebuilt(StrEnum):
    """The data that is made from the log and can be made again."""

    CURRENT_PREFERENCES = "current-preferences"
    AUDIT_INDEX = "audit-index"


def rebuild(
    what: Annotated[Rebuilt, typer.Argument(help="The data to rebuild.")] = Rebuilt.CURRENT_PREFERENCES,
    compare_only: Annotated[bool, typer.Option("--compare-only", help="Only compare, and change nothing.")] = False,
) -> None:
    """Rebuild the current preferences, or the audit index, from the log, and show where they differed.

    The service keeps running. All current preferences are made again in a second
    table, compared, and swapped in. While a dump holds the live table, the swap
    is tried again for some twenty seconds. Of the audit index, as far as it has
    got, only the parts that differ are made again.

    Exit code 1 if anything differed from the log. Without --compare-only, it is
    repaired by then.
    """
    if what is Rebuilt.AUDIT_INDEX:
        _repair_index(compare_only=compare_only)
    else:
        _rebuild_preferences(compare_only=compare_only)


def _repair_index(*, compare_only: bool) -> None:
    with bootstrap.databases.migrated_database() as url, bar("reading the log") as progress:
        found = bootstrap.rebuilds.compare_index(url, progress, repair=not compare_only)
    output.print(f"{counted(found.events, 'event')}, up to position {found.position}")
    if not found.differing and not found.wrong_counts:
        output.print("equal")
        return
    for sentence in found.named[:SHOWN]:
        output.print(f"  {sentence}", markup=False, soft_wrap=True)
    wrong_counts = f", {counted(found.wrong_counts, 'daily count')}" if found.wrong_counts else ""
    output.print(
        f"not equal: {counted(found.differing, 'entry', 'entries')}{wrong_counts}"
        + ("" if compare_only else "; the index now says what the log says")
    )
    raise typer.Exit(1)


def _rebuild_preferences(*, compare_only: bool) -> None:
    # A rebuild makes no cyclic references, and the garbage collector would walk all of its objects again and again.
    gc.disable()
    with bootstrap.databases.migrated_database() as url, bar("reading the log") as progress:
        result = asyncio.run(bootstrap.rebuilds.rebuild(url, progress, swap=not compare_only))
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
