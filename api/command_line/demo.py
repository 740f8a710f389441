"""The command that fills a development database with a made-up year."""

from typing import Annotated

import typer

from api import bootstrap
from api.command_line.console import notes, output
from api.command_line.progress import bars


def demo(
    users: Annotated[int, typer.Option(help="How many users there are.", min=20, max=100_000)] = 3000,
    seed: Annotated[int, typer.Option(help="Another number makes another year.")] = 1,
) -> None:
    """Fill the embedded database of development mode with a made-up year, to look at.

    Eight organizations and their users: an import, a new catalogue, a mailing that
    went wrong and its wave of opt-outs, changes by the support, erasures, and a
    signed checkpoint every two weeks.

    A database that has anything else in it is refused. What an earlier demo made,
    and all that was done with it, is removed first.
    """
    settings = bootstrap.settings()
    with (
        bootstrap.demo.emptied_database(settings) as url,
        bars("living through the year", "indexing it") as (filling, indexing),
    ):
        filled = bootstrap.demo.fill(settings, url, users, seed, filling, indexing)
    output.print(f"{filled.events} events of {filled.users} users in {filled.organizations} organizations")
    notes.print("To look at it: `preferences serve`, and sign in as user_demo of org_demo with the role admin.")
