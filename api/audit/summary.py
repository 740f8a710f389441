"""GET /v1/audit-log/summary: how many choices an organization's users switched on and off on each day, as a page or as CSV."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.audit import summary_description as description
from api.audit.entries import CSV, as_csv
from api.audit.filter import FromSource, OfActorKind
from api.audit.log import PATH, VARY, file_headers
from api.audit.page import AuditSummaryPage
from api.http import media_types
from api.http.answer import JSON, Answer, success
from api.http.authentication import AuditReader
from api.http.exact_query import ExactQuery
from api.http.instants import Instant, shown
from api.http.request_context import REQUEST_ID
from api.schemas import choice_filters
from api.services import Services
from application.audit.filter import AuditFilter
from application.audit.summary import DayCount, Summary
from application.vocabulary import Published, validate_with_history
from domain.catalogue import Catalogue
from projections.shown_actor import ActorKind


def add(app: FastAPI, services: Services) -> None:
    audit_summary = services.audit_summary

    @app.get(f"{PATH}/summary", response_model=AuditSummaryPage, **description.audit_summary())
    async def summarize_audit_log(
        request: Request,
        reader: AuditReader,
        _: Annotated[None, ExactQuery],
        wanted: Annotated[AuditFilter, Depends(_from_query(services.catalogue, services.published))],
    ) -> Response:
        form = media_types.wanted(request.scope, ("application/json", CSV))
        summary = await audit_summary.by_day(reader, wanted, form=form, request_id=request.scope[REQUEST_ID])
        return _page(summary) if form == "application/json" else _file(summary)


def _from_query(catalogue: Catalogue, published: Published) -> Callable[..., Awaitable[AuditFilter]]:
    """The filters of the audit log that make sense for numbers: those that don't single out a user or another action."""
    schemas = choice_filters(catalogue)

    async def read(
        actor_kind: OfActorKind = None,
        channel: Annotated[str | None, Query(), WithJsonSchema(schemas["channel"])] = None,
        toggle: Annotated[str | None, Query(), WithJsonSchema(schemas["toggle"])] = None,
        enabled: Annotated[
            Literal["true", "false"] | None,
            Query(description="Only what was switched on, or off. The other number is then 0."),
            WithJsonSchema({"type": "boolean"}),
        ] = None,
        source: FromSource = None,
        since: Annotated[
            Instant,
            Query(description="Only what happened then or later; 365 days before `until` unless said otherwise."),
        ] = None,
        until: Annotated[
            Instant, Query(description="Only what happened before; the end of the present day unless said otherwise.")
        ] = None,
    ) -> AuditFilter:
        wanted = AuditFilter(
            actor_kind=ActorKind(actor_kind) if actor_kind else None,
            channel=channel,
            toggle=toggle,
            enabled=None if enabled is None else enabled == "true",
            source=source,
            since=since,
            until=until,
        )
        await validate_with_history(catalogue, published, wanted.check)
        return wanted

    return read


def _page(summary: Summary) -> Answer:
    meta: dict[str, Any] = {
        "total": 0,
        "limit": len(summary.days),
        "offset": 0,
        "next_cursor": None,
        "since": shown(summary.since),
        "until": shown(summary.until),
        "last_event_at": shown(summary.complete_until) if summary.complete_until else None,
    }
    # By hand: `_asdict` takes three times as long, and other requests wait meanwhile.
    days = [
        {"day": day, "channel": channel, "toggle": toggle, "source": source, "opt_ins": opt_ins, "opt_outs": opt_outs}
        for day, channel, toggle, source, opt_ins, opt_outs in summary.days
    ]
    return Answer(200, success(days, meta), (JSON, VARY))


def _file(summary: Summary) -> Answer:
    rows = as_csv([DayCount._fields, *summary.days])
    return Answer(200, rows, file_headers("audit-summary", CSV, summary.complete_until))
