"""Commands that make, list and revoke API keys of organizations and of the platform."""

import asyncio
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from api import bootstrap
from api.command_line.console import notes, output

PLATFORM: Final = "the platform"


def create(
    label: Annotated[str, typer.Option(help="The purpose of the key. It is shown wherever the key is used.")],
    scope: Annotated[list[str], typer.Option(help="A scope of the key, e.g. audit:read. Repeat for several.")],
    org: Annotated[str | None, typer.Option(help="The organization that the key belongs to.")] = None,
    platform: Annotated[
        bool, typer.Option("--platform", help="Instead of --org: make a key that sees all organizations.")
    ] = False,
) -> None:
    """Make a key. The key is shown only once, alone on the last line. Only its hash is stored."""
    if not label.strip():
        raise typer.BadParameter("a key needs a label")
    if platform is (org is not None) or not (org is None or org.strip()):
        raise typer.BadParameter("a key needs an organization, or --platform, and never both")

    async def run(url: str) -> str:
        async with bootstrap.api_keys.open_api_keys(url) as keys:
            return await keys.create(org, label, scope)

    with bootstrap.databases.migrated_database() as url:
        try:
            key = asyncio.run(run(url))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    notes.print(f"A key of {org or PLATFORM} for {label}. Keep it now: it can't be shown again.", markup=False)
    typer.echo(key)


def list_keys(
    org: Annotated[str | None, typer.Option(help="Only the keys of this organization.")] = None,
) -> None:
    """List all keys, newest first, without the secret keys themselves."""

    async def run(url: str) -> "list[bootstrap.ListedKey]":
        async with bootstrap.api_keys.open_api_keys(url) as keys:
            return await keys.list(org)

    with bootstrap.databases.migrated_database() as url:
        found = asyncio.run(run(url))
    if not found:
        notes.print("There are no keys.")
        return
    table = Table("id", "organization", "label", "key", "scopes", "created", "last used", "revoked", box=SIMPLE_HEAD)
    for key in found:
        times = (f"{at:%Y-%m-%d %H:%M}" if at else "-" for at in (key.created_at, key.last_used_at, key.revoked_at))
        # As `Text`, because rich would read brackets in a label as markup.
        named = (Text(key.organization or PLATFORM), Text(key.label))
        table.add_row(str(key.id), *named, f"{key.prefix}…", " ".join(key.scopes), *times)
    output.print(table)


def revoke(key_id: Annotated[UUID, typer.Argument(help="The key's id, as `list` shows it.")]) -> None:
    """Revoke a key, at once and for good. Exit code 1 if there is no valid key with this id."""

    async def run(url: str) -> bool:
        async with bootstrap.api_keys.open_api_keys(url) as keys:
            return await keys.revoke(key_id)

    with bootstrap.databases.migrated_database() as url:
        revoked = asyncio.run(run(url))
    notes.print(f"{key_id} is revoked." if revoked else f"There is no valid key {key_id}.")
    raise typer.Exit(0 if revoked else 1)
