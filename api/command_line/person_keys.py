"""Commands that check and repair the keys of persons, under which the actors in the log are sealed."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from api import bootstrap
from api.command_line.console import counted, notes, output
from api.command_line.progress import bar

SHOWN: Final = 20
"""Streams that are listed, at most."""


def check(
    ignore_lost: Annotated[
        bool, typer.Option("--ignore-lost", help="Accept missing keys, e.g. after restoring a dump without keys.")
    ] = False,
) -> None:
    """Try every person's key on every actor that was sealed under it. Exit code 1 if a key doesn't fit, or is missing.

    If a key doesn't fit, the feed, the history and the audit log show the actor
    as `unreadable`.
    """
    with bootstrap.databases.migrated_database() as url, bar("trying the keys") as progress:
        checked = bootstrap.person_keys.check(url, progress)
    with_key = sum(count for fit, count in checked.fits.items() if fit.has_key)
    lost = sum(count for fit, count in checked.fits.items() if fit.lost)
    output.print(
        f"{counted(with_key, 'key')}; wrong in {counted(checked.wrong - lost, 'stream')}, gone in {counted(lost, 'stream')}"
    )
    for stream, fit in checked.first:
        output.print(f"  {stream} {fit.value}", soft_wrap=True)
    if more := checked.wrong - len(checked.first):
        output.print(f"  and {more} more")
    if checked.wrong > (lost if ignore_lost else 0):
        raise typer.Exit(1)


def repair(
    copy: Annotated[
        Path | None,
        typer.Option("--from", help=r"A copy of the keys, of any age: psql -c '\copy person_keys to FILE'."),
    ] = None,
    give_up: Annotated[
        bool,
        typer.Option("--give-up", help="From now on, show actors that no key opens as erased. This can't be undone."),
    ] = False,
) -> None:
    """Give the right key to each stream whose key doesn't fit. The key is taken from the copy or from another stream.

    Actors from before an erasure stay erased: a key that opens only those is
    destroyed. Run this as the owner of the tables, also while users are served.
    Exit code 1 if there are actors left that no key opens.
    """
    with bootstrap.databases.migrated_database() as url, bar("trying the keys") as progress:
        done = bootstrap.person_keys.repair(url, copy, progress, give_up=give_up)
    _show(done.keys_set, "{} got the key that opens it", "{} got the keys that open them")
    _show(
        done.versions_set,
        "{} kept its key, with the right since_version",
        "{} kept their keys, with the right since_version",
    )
    _show(
        done.destroyed,
        "{} lost a key that opened only erased actors",
        "{} lost keys that opened only erased actors",
    )
    if not (done.keys_set or done.versions_set or done.destroyed):
        notes.print("Nothing was changed.")
    _show(
        done.reaching,
        "{} has a key that also opens what was erased: `preferences erase` destroys it",
        "{} have keys that also open what was erased: `preferences erase` destroys them",
    )
    if done.untried:
        notes.print("Too many keys don't fit to try each on each stream: each stream's own key of the copy was tried.")
    if done.missing:
        output.print(
            f"{counted(done.missing, 'stream')} whose key is gone, and no erasure says why: the log says `erased`"
        )
    for stream, versions in list(done.unreadable.items())[:SHOWN]:
        output.print(f"  {stream}: no key opens who acted in {_named(versions)}", soft_wrap=True)
    if len(done.unreadable) > SHOWN:
        output.print(f"  and {len(done.unreadable) - SHOWN} more streams")
    if done.unreadable or done.missing:
        raise typer.Exit(1)


def _show(streams: Collection[UUID], one: str, many: str) -> None:
    if streams:
        output.print((one if len(streams) == 1 else many).format(counted(len(streams), "stream")))
    for stream in list(streams)[:SHOWN]:
        output.print(f"  {stream}")
    if len(streams) > SHOWN:
        output.print(f"  and {len(streams) - SHOWN} more")


def _named(versions: list[int]) -> str:
    first = ", ".join(str(version) for version in versions[:5])
    return f"version {first}" if len(versions) == 1 else f"{len(versions)} versions, the first ones {first}"
