"""The command that erases a person."""

import asyncio
import sys
from typing import Annotated

import typer

from api import bootstrap
from api.command_line.console import counted, notes, output


def erase(
    user: Annotated[str, typer.Option(help="The user, e.g. user_ada.")],
    org: Annotated[str | None, typer.Option(help="The organization; without it, the user's own scope.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
) -> None:
    """Erase a person: destroy the key that opens the actors in the log. This can't be undone. The choices stay in force.

    A second erasure changes nothing. Exit code 1 if there are events older than
    sealing, which still name the person unsealed.
    """
    whose = f"{user} of {org}" if org else user
    if not yes and sys.stdin.isatty():
        typer.confirm(
            f"Destroy the key of {whose}? The names in the user's events become unreadable for good", abort=True
        )
    with bootstrap.databases.migrated_database() as url:
        result = asyncio.run(bootstrap.erasure.erase(url, org, user))
    if result.destroyed:
        output.print(f"{whose} is erased. The recorded choices stay in force.", markup=False)
    elif result.readings_erased:
        output.print(f"{whose} had no key, and is erased from the record of reading.", markup=False)
    else:
        output.print(f"Nothing to erase: there is no key of {whose}.", markup=False)
    if result.unsealed_events:
        notes.print(f"Older than sealing, naming who acted in the open: {counted(result.unsealed_events, 'event')}.")
        raise typer.Exit(1)
