"""Commands that list the published catalogues, and show the changes that this release's catalogue would make."""

import asyncio

from rich.box import SIMPLE_HEAD
from rich.table import Table

from api import bootstrap
from api.command_line.console import counted, notes, output
from application.publishing import Impact
from domain.catalogue_difference import Alteration


def list_published() -> None:
    """List the published catalogues, newest first, each with its changes."""
    with bootstrap.databases.migrated_database() as url:
        published = asyncio.run(bootstrap.catalogues.published(url))
    if not published:
        notes.print("No catalogue is published: run `preferences migrate`.")
        return
    table = Table("version", "published (UTC)", "toggle", "change", box=SIMPLE_HEAD)
    for event, alterations in reversed(published):
        table.add_section()
        # A version without changes has a row, too.
        for number, (path, change) in enumerate([(a.path, str(a)) for a in alterations] or [("-", "nothing")]):
            first = (str(event.catalogue_version), f"{event.timestamp:%Y-%m-%d %H:%M:%S}")
            table.add_row(*(("", "") if number else first), path, change)
    output.print(table)


def diff() -> None:
    """Show the changes that publishing this release's catalogue would make, and for how many users. Migrates and publishes nothing.

    Exit code 1 if the catalogue can't be published.
    """
    with bootstrap.databases.database_as_it_is() as url:
        impact = asyncio.run(bootstrap.catalogues.impact(url))
    if impact.published is not None and impact.published.catalogue_version == impact.version:
        output.print(f"Nothing would change: version {impact.version} is published.")
        return
    if impact.published is not None:
        output.print(f"Version {impact.version} would follow version {impact.published.catalogue_version}.")
    else:
        output.print(
            f"Version {impact.version} would be the first one published here, and hold for all that was recorded before: "
            "no user's answer would change."
        )
    for alteration in impact.alterations:
        output.print(f"  {alteration.path}  {alteration}{_consequence(impact, alteration)}", markup=False)
    if impact.published is not None:
        output.print(
            f"Users who ever chose something: {impact.users}. Resolved answers that would change: {impact.affected}."
        )
        output.print(
            "Users who never chose are not known here; every change above that is not marked otherwise is theirs too."
        )
    output.print("Nothing was published.")


def _consequence(impact: Impact, alteration: Alteration) -> str:
    if impact.published is None:
        return ""
    if alteration.answer_reshaped:
        return "; in every user's answer"
    if alteration.default_changed:
        return f"; in the answer of {counted(impact.without_choice[alteration.path], 'user')} without a choice of their own"
    return "; in no user's answer"
