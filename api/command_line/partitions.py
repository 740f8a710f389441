"""Commands that keep the log in several tables."""

from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.table import Table

from api import bootstrap
from api.command_line.console import notes, output

AHEAD: Final = 100_000_000
"""Positions. At 5,000 events a second, they are given in more than five hours, and a terabyte is read sooner."""


def list_partitions() -> None:
    """List the tables of the log: positions, about how many events, size with indexes, and where each is stored."""
    with bootstrap.databases.migrated_database() as url:
        _show(bootstrap.partitions.partitions(url))


def add(
    ahead: Annotated[
        int, typer.Option(min=1, help="How many positions after the log's end the next partition begins.")
    ] = AHEAD,
) -> None:
    """End the log's last partition some way ahead, and add an empty one for all later events.

    The first time, the log's table becomes the first partition. The service keeps
    running. The events that are there are read once, and none is moved. If more
    than --ahead events are appended meanwhile, the command gives up.
    """
    with bootstrap.databases.migrated_database() as url:
        with notes.status("reading the last partition once"):
            found = bootstrap.partitions.add_partition(url, ahead)
        _show(found)


def move(
    table: Annotated[str, typer.Argument(help="The table, as `list` names it.")],
    to: Annotated[str, typer.Option(help="The tablespace.")],
) -> None:
    """Move a partition that gets no more events to another tablespace, for instance on a cheaper disk.

    Its events are copied while they are read. The other tablespace needs room for
    the whole partition. At the end, the room on the former disk is free.
    """
    with bootstrap.databases.migrated_database() as url:
        with notes.status(f"copying {table}"):
            found = bootstrap.partitions.move_partition(url, table, to)
        _show(found)


def _show(found: "list[bootstrap.Partition]") -> None:
    table = Table("table", "first position", "last position", "events", "size", "tablespace", box=SIMPLE_HEAD)
    for number in (3, 4):
        table.columns[number].justify = "right"
    for partition in found:
        first = "-" if partition.first is None else f"{partition.first:,}"
        last = "-" if partition.end is None else f"{partition.end - 1:,}"
        table.add_row(
            partition.table, first, last, f"{partition.events:,}", decimal(partition.bytes), partition.tablespace
        )
    output.print(table)
