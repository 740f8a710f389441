"""The command that explains why a user may or may not be written to, now or in the past."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from api import bootstrap
from api.command_line.console import complain, output
from application.audit.explanations import ExplainAt
from domain.decision import Reason
from domain.events import CataloguePublished
from domain.preferences import stream_id
from projections.explained_decision import ExplainedDecision, contradictions
from projections.shown_actor import named_actor


def explain(
    user: Annotated[str, typer.Option(help="The user, e.g. user_ada.")],
    channel: Annotated[str, typer.Option(help="The channel, e.g. email.")],
    toggle: Annotated[str, typer.Option(help="The toggle, e.g. product_updates.")],
    org: Annotated[str | None, typer.Option(help="The organization; without it, the user's own scope.")] = None,
    at: Annotated[
        int | None,
        typer.Option(help="The position of the log: the `position` of the answer. By default, now.", min=0),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            help="The version of the user's stream. With --at, a claim that the stream was at this version then.", min=0
        ),
    ] = None,
    allowed: Annotated[
        bool | None, typer.Option("--allowed/--not-allowed", help="A claim that this was the decision.")
    ] = None,
    reason: Annotated[Reason | None, typer.Option(help="A claim that this was the reason.")] = None,
    catalogue: Annotated[
        int | None,
        typer.Option(
            help="A claim that this catalogue version was applied. It must have been published by then. Default: the one in force then.",
            min=1,
        ),
    ] = None,
) -> None:
    """Explain a decision as of a position of the log, and name the event that decided. Check claims about the decision.

    Exit code 1 if a claim does not hold. `audit verify` checks whether the log
    itself is unaltered.
    """
    with bootstrap.databases.migrated_database() as url:
        place = ExplainAt(at, version, catalogue)
        explained = asyncio.run(bootstrap.decisions.explain(url, org, user, channel, toggle, place))
        asked = {
            "resource_stream": str(stream_id(org, user)),
            "channel": channel,
            "toggle": toggle,
            "at": at,
            "version": version,
            "catalogue": catalogue,
        }
        asyncio.run(bootstrap.audit.record_reading(url, org, "user_decision.explain", asked, count=1))
    _show(explained)
    wrong = contradictions(explained, allowed=allowed, reason=reason, version=version)
    if wrong:
        complain(f"the claim does not hold: {'; '.join(wrong)}")
        raise typer.Exit(1)


def _show(explained: ExplainedDecision) -> None:
    position, event = explained.decided_by
    stood = f"version {explained.version}"
    used, in_force = (f"version {one.event.catalogue_version}" for one in (explained.catalogue, explained.in_force))
    told = f"catalogue version {event.catalogue_version}"
    rows = [
        ("allowed", "yes" if explained.decision.allowed else "no"),
        ("reason", explained.decision.reason.value),
        ("as of", f"position {explained.position} of the log"),
        ("user's stream", stood if explained.last is None else f"{stood}, last event at position {explained.last}"),
        ("catalogue", used if used == in_force else f"{used}; by then {in_force} was in force"),
    ]
    words = explained.words
    rows.append(("shown as", f"{words.title}: {words.description}" if words else f"no words: {told} has none"))
    if explained.lost is not None:
        rows.append(("lost", f"all behind position {explained.lost.previous_end}, before the log was continued"))
    if isinstance(event, CataloguePublished):
        rows.append(("decided by", f"the catalogue, event {event.event_id} at position {position}"))
    else:
        rows += [
            ("decided by", f"event {event.event_id}, version {event.originator_version}, at position {position}"),
            ("who", named_actor(event)),
            ("session", event.actor.get("session", "-")),
        ]
    rows += [
        ("when", f"{event.timestamp:%Y-%m-%d %H:%M:%S} UTC"),
        ("source", event.source),
        ("request", event.request_id),
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows:
        table.add_row(name, Text(value))
    output.print(table)
