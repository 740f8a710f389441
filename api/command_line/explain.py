"""Why somebody may be written to, or might not be then."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from api import bootstrap
from api.command_line.console import complain, output
from application.audit.explanations import Place
from domain.decision import Reason
from domain.events import CataloguePublished
from domain.preferences import stream_id
from projections.explained_decision import ExplainedDecision, contradictions


def explain(
    user: Annotated[str, typer.Option(help="The user, e.g. user_ada.")],
    channel: Annotated[str, typer.Option(help="The channel, e.g. email.")],
    toggle: Annotated[str, typer.Option(help="The toggle, e.g. product_updates.")],
    org: Annotated[str | None, typer.Option(help="The organization; without it, the user's own scope.")] = None,
    at: Annotated[
        int | None,
        typer.Option(help="As of this position of the log: the answer's `position`. By default, now.", min=0),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            help="While the user's stream stood at this version; with --at, a claim that it stood there then.", min=0
        ),
    ] = None,
    allowed: Annotated[
        bool | None, typer.Option("--allowed/--not-allowed", help="Claim that the decision was this one.")
    ] = None,
    reason: Annotated[Reason | None, typer.Option(help="Claim that this was the reason.")] = None,
    catalogue: Annotated[
        int | None,
        typer.Option(
            help="Claim that this version was applied, which must have been published by then. By default, the one then in force.",
            min=1,
        ),
    ] = None,
) -> None:
    """Explain a decision, made or claimed: what it was as of a position of the log, and the very event that decided.

    Exit code 1 if a claim does not hold. `audit verify` says whether the log itself is what it was.
    """
    with bootstrap.databases.migrated_database() as url:
        explained = asyncio.run(
            bootstrap.decisions.explain(url, org, user, channel, toggle, Place(at, version, catalogue))
        )
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
    rows = [
        ("allowed", "yes" if explained.decision.allowed else "no"),
        ("reason", explained.decision.reason.value),
        ("as of", f"position {explained.position} of the log"),
        ("user's stream", stood if explained.last is None else f"{stood}, last event at position {explained.last}"),
        ("catalogue", used if used == in_force else f"{used}; by then {in_force} was in force"),
    ]
    if explained.lost is not None:
        rows.append(("lost", f"all behind position {explained.lost.previous_end}, before the log was continued"))
    if isinstance(event, CataloguePublished):
        rows.append(("decided by", f"the catalogue, event {event.event_id} at position {position}"))
    else:
        actor = event.actor
        rows += [
            ("decided by", f"event {event.event_id}, version {event.originator_version}, at position {position}"),
            ("who", actor.get("impersonator") or actor["user"]),
            ("session", actor.get("session", "-")),
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
