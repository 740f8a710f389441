"""GET /v1/audit-log: who changed what in an organization, newest first, as pages or all of it as a file."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import Depends, FastAPI, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.audit import description
from api.audit import filter as audit_filter
from api.audit.entries import CSV, NDJSON, as_json, as_lines, as_rows, header
from api.audit.page import AuditLogPage
from api.http import media_types
from api.http.answer import JSON, Answer, success
from api.http.authentication import AuditReader
from api.http.cursors import decode_cursor, encode_cursor
from api.http.exact_query import ExactQuery
from api.http.instants import shown
from api.http.request_context import REQUEST_ID
from api.http.streamed import Streamed, nothing
from api.http.trailer import Trailer, asked_for, last_line
from api.services import Services
from application.audit.filter import AuditFilter
from application.audit.log import AuditPage, AuditStart
from domain.errors import ValidationFailed
from projections.audit_log import AuditEntry

PATH: Final = "/v1/audit-log"
DEFAULT_LIMIT: Final = 50
SEND_WITHIN: Final = 60.0
"""Seconds within which the reader of an export must take each chunk. Otherwise the connection is dropped."""
VARY: Final = (b"vary", b"accept")
LAST_EVENT_AT: Final = b"x-last-event-at"
"""The header of an export with the value that a page has in `meta.last_event_at`. An entry has no place for it."""


def add(app: FastAPI, services: Services) -> None:
    audit_log = services.audit_log

    @app.get(PATH, response_model=AuditLogPage, **description.audit_log())
    async def read_audit_log(
        request: Request,
        reader: AuditReader,
        _: Annotated[None, ExactQuery],
        wanted: Annotated[AuditFilter, Depends(audit_filter.from_query(services.catalogue, services.published))],
        limit: Annotated[
            int | None,
            Query(ge=1, le=200, description="Entries per page, 50 unless said otherwise. Not for exports."),
            WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 200}),
        ] = None,
        cursor: Annotated[
            str | None,
            Query(description="`meta.next_cursor` of the page before. Not for exports.", max_length=512),
            WithJsonSchema({"type": "string", "maxLength": 512}),
        ] = None,
        include: Annotated[
            Literal["payload"] | None,
            Query(
                description="`payload`: what was recorded before and after, and where it came from. CSV always has it."
            ),
            WithJsonSchema({"type": "string", "enum": ["payload"]}),
        ] = None,
        trailer: Trailer = None,
    ) -> Response:
        request_id = request.scope[REQUEST_ID]
        payload = include is not None
        form = media_types.wanted(request.scope, ("application/json", NDJSON, CSV))
        with_trailer = asked_for(trailer, lines=form == NDJSON)
        if form == "application/json":
            start = None if cursor is None else AuditStart(*decode_cursor(cursor, "position"))
            size = limit or DEFAULT_LIMIT
            page = await audit_log.page(reader, wanted, limit=size, request_id=request_id, after=start, payload=payload)
            return _page(page, size, payload=payload)
        given = {"limit": limit, "cursor": cursor}
        if details := {name: "must be absent in an export" for name, value in given.items() if value is not None}:
            raise ValidationFailed(details=details)
        if request.method == "HEAD":
            # The head of an export reveals nothing about entries, so no reading is recorded. The head of a page reveals
            # the page's length, so a HEAD of a page is recorded like a GET.
            headers = file_headers("audit-log", form, await audit_log.complete_until())
            return Streamed(nothing(), headers, send_within=SEND_WITHIN)
        entries, complete_until = await audit_log.export(
            reader, wanted, form=form, request_id=request_id, payload=payload
        )
        lines = _lines(entries, complete_until, payload=payload, trailer=with_trailer)
        chunks = lines if form == NDJSON else _rows(entries)
        return Streamed(chunks, file_headers("audit-log", form, complete_until), send_within=SEND_WITHIN)


def _page(page: AuditPage, limit: int, *, payload: bool) -> Answer:
    meta = {
        "total": 0,
        "limit": limit,
        "offset": 0,
        "next_cursor": encode_cursor(position=page.next.position, id=page.next.id) if page.next else None,
        "last_event_at": _last_event_at(page.complete_until),
    }
    return Answer(200, success([as_json(entry, payload=payload) for entry in page.entries], meta), (JSON, VARY))


def _last_event_at(complete_until: datetime | None) -> str | None:
    return shown(complete_until) if complete_until else None


async def _lines(
    chunks: AsyncGenerator[list[AuditEntry], None], complete_until: datetime | None, *, payload: bool, trailer: bool
) -> AsyncGenerator[bytes, None]:
    count = 0
    async with aclosing(chunks):
        async for entries in chunks:
            count += len(entries)
            yield as_lines(entries, payload=payload)
    if trailer:
        yield last_line(count, last_event_at=_last_event_at(complete_until))


async def _rows(chunks: AsyncGenerator[list[AuditEntry], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        yield header()
        async for entries in chunks:
            yield as_rows(entries)


def file_headers(name: str, form: str, complete_until: datetime | None) -> list[tuple[bytes, bytes]]:
    kind, ending = {NDJSON: (NDJSON, "ndjson"), CSV: ("text/csv; charset=utf-8; header=present", "csv")}[form]
    disposition = f'attachment; filename="{name}.{ending}"'
    headers = [(b"content-type", kind.encode()), (b"content-disposition", disposition.encode()), VARY]
    return [*headers, (LAST_EVENT_AT, shown(complete_until).encode())] if complete_until else headers
