"""The command that shows an operator the history of a user, with full provenance."""

import asyncio
from typing import Annotated

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from api import bootstrap
from api.command_line.console import notes, output
from application.audit.users import READ_HISTORY
from domain.isolation import Audience, ShownToggled
from domain.preferences import stream_id
from projections.shown_actor import named_actor


def history(
    user: Annotated[str, typer.Option(help="The user, e.g. user_ada.")],
    org: Annotated[str | None, typer.Option(help="The organization; without it, the user's own scope.")] = None,
    limit: Annotated[int, typer.Option(help="The maximum number of changes, newest first.", min=1)] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with full provenance.")] = False,
) -> None:
    """Show a user's changes, newest first: who made them, when, from where, and on whose behalf. This is recorded as a reading."""

    async def run(url: str) -> list[ShownToggled]:
        stream = stream_id(org, user)
        changes = await bootstrap.history.changes(url, stream, limit=limit)
        audience = Audience.of_user(org, user, "the user's history")
        shown = [audience.clear(event) for event in changes]
        asked = {"resource_stream": str(stream), "limit": limit}
        await bootstrap.audit.record_reading(url, org, READ_HISTORY, asked, count=len(changes))
        return shown

    with bootstrap.databases.migrated_database() as url:
        events = asyncio.run(run(url))
    if json:
        for event in events:
            typer.echo(orjson.dumps({**vars(event), "previous": event.previous}))
        return
    if not events:
        notes.print(f"{user} has changed nothing.", markup=False)
        return
    table = Table("when (UTC)", "toggle", "from", "to", "who", "session", "source", "request", box=SIMPLE_HEAD)
    for event in events:
        table.add_row(
            f"{event.timestamp:%Y-%m-%d %H:%M:%S}",
            event.path,
            {None: "default", True: "on", False: "off"}[event.previous],
            "on" if event.enabled else "off",
            Text(named_actor(event)),
            Text(event.actor.get("session", "-")),
            event.source,
            event.request_id,
        )
    output.print(table)
