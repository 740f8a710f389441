"""Commands for evidence: they sign the log, verify it, and write and verify bundles."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from api import bootstrap
from api.command_line.console import counted, notes, output
from api.command_line.private_file import private_file
from domain.preferences import stream_id
from projections.consent import Consent, consents
from projections.shown_actor import BEARER_LABEL, STAFF_LABEL


def public_key() -> None:
    """Print the public key for verifying checkpoints. Give it to your verifiers by a way that they trust."""
    typer.echo(bootstrap.evidence.public_key(bootstrap.settings()))


def checkpoint() -> None:
    """Sign the log as it is now. The checkpoint goes to the database and to CHECKPOINT_FILE.

    Exit code 1 if the log isn't what was signed before.
    """
    settings = bootstrap.settings()
    with bootstrap.databases.migrated_database(settings) as url:
        written = bootstrap.evidence.checkpoint(settings, url)
    if written is None:
        notes.print("Nothing to do: there are no events since the last checkpoint.")
        return
    output.print(f"{counted(written.size, 'event')}, up to position {written.position}, root {written.root.hex()}")


def bundle(
    user: Annotated[str, typer.Option(help="The user, e.g. user_ada.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    org: Annotated[str | None, typer.Option(help="The organization; without it, the user's own scope.")] = None,
) -> None:
    """Write a file with all events of a user, and the proof that the signed log contains them.

    The file includes the key that opens the actors. So every reader of the file
    can see the actors, even after an erasure.
    """
    settings = bootstrap.settings()
    with bootstrap.databases.migrated_database(settings) as url:
        data, opened = bootstrap.evidence.bundle(settings, url, org, user)
        asked = {"resource_stream": str(stream_id(org, user))}
        asyncio.run(bootstrap.audit.record_reading(url, org, "user_evidence.export", asked, count=len(opened.events)))
    if not opened.events:
        notes.print(f"{user} has chosen nothing: there is nothing to prove.", markup=False)
        raise typer.Exit(1)
    with private_file(file) as target:
        target.write(data)
    notes.print(
        f"{counted(len(opened.events), 'event')}; verify it with `preferences audit verify-bundle`", markup=False
    )


def verify_bundle(
    file: Annotated[Path, typer.Argument(help="The file that `bundle` wrote.")],
    key: Annotated[str, typer.Option(help="The public key. Get it by a way that you trust.")],
) -> None:
    """Verify a bundle offline, and show what it proves: each choice, who made it, when, how, and the catalogue and default at that time.

    No bundle can prove that there was no change after its last event.
    """
    parsed, opened = bootstrap.evidence.verify_bundle(file.read_bytes(), key)
    checkpoint = opened.checkpoint
    where = f"of {parsed.organization}" if parsed.organization is not None else "without an organization"
    output.print(
        Text(f"{parsed.user} {where}: {counted(len(opened.events), 'event')}, all in the log of {checkpoint.origin}")
    )
    output.print(
        f"as signed on {checkpoint.time:%Y-%m-%d %H:%M:%S} UTC over {counted(checkpoint.size, 'event')}, up to position "
        f"{checkpoint.position}"
    )
    columns = ("when (UTC)", "toggle", "choice", "since then", "who", "session", "source", "told", "request")
    table = Table(*columns, box=SIMPLE_HEAD)
    last = len(opened.events)  # open_bundle has checked that the versions have no gap.
    found = consents(opened.events, opened.catalogues)
    for consent in found:
        table.add_row(*map(Text, _row(consent, last)))
    output.print(table)
    for told in dict.fromkeys(map(_told, found)):
        output.print(Text(told))
    output.print(f"No event of this user up to version {last} was left out: their versions have no gap.")
    output.print(
        "Later changes are not excluded, not even up to the day of the signature: the sender of the file can have "
        "left the last events out."
    )


def _row(consent: Consent, last: int) -> Iterator[str]:
    """`last`: the version up to which there is proof."""
    on = {True: "on", False: "off", None: "unknown"}
    yield f"{consent.occurred_at:%Y-%m-%d %H:%M:%S}"
    yield consent.path
    yield on[consent.enabled]
    if consent.replaced_at is None:
        yield f"not changed up to version {last}"
    else:
        yield f"{'withdrawn' if consent.enabled else 'changed'} {consent.replaced_at:%Y-%m-%d %H:%M:%S}"
    yield _who(consent)
    yield consent.session or "-"
    yield consent.source
    yield f"catalogue {consent.catalogue_version}, default {on[consent.default]}"
    yield consent.request_id


def _who(consent: Consent) -> str:
    if consent.impersonated:
        return f"{consent.impersonator or STAFF_LABEL} for {consent.user}"
    return f"{BEARER_LABEL} of {consent.user}" if consent.by_link else consent.user


def _told(consent: Consent) -> str:
    told = f"Catalogue {consent.catalogue_version}, {consent.path}"
    if consent.words is not None:
        return f'{told}: "{consent.words.title}" ({consent.words.description})'
    return f"{told}: {'not in the log' if consent.default is None else 'published without words'}"
