"""GET /v1/audit-log/reads: who has read what of an organization's users, newest first."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from api.audit import reads_description as description
from api.http.answer import Answer, success
from api.http.authentication import AuditReader
from api.http.cursors import decode_id, encode_cursor
from api.http.exact_query import ExactQuery
from api.http.instants import shown
from api.http.request_context import REQUEST_ID
from api.preferences.history import Cursor, Limit, Meta
from api.schemas import ULID, SuccessAnswer
from api.services import Services
from application.audit.reads import ListedReading

PATH: Final = "/v1/audit-log/reads"


class Reading(BaseModel):
    id: str = Field(description="ULID of the reading.", pattern=ULID)
    at: datetime = Field(description="When, in UTC.")
    reader: str = Field(
        description="`user:<id>`, `api_key:<id> (<label>)`, or `operator`; `erased` where the person was erased since."
    )
    impersonated: bool = Field(description="Whether our staff read in the user's name.")
    action: str = Field(description="What was read, such as `audit_log.export`.")
    filter: dict[str, Any] = Field(description="What was asked for. A user is named by the id of the user's stream.")
    count: int | None = Field(description="How many entries were shown; null while that is unknown.")
    outcome: Literal["complete", "aborted"] | None = Field(
        description="null while it is unknown how the reading ended."
    )
    request_id: str = Field(description="ULID of the request.", pattern=ULID)


class ReadingsPage(SuccessAnswer):
    data: list[Reading]
    meta: Meta


def add(app: FastAPI, services: Services) -> None:
    @app.get(PATH, response_model=ReadingsPage, **description.reads())
    async def read_readings(
        request: Request,
        reader: AuditReader,
        _: Annotated[None, ExactQuery],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Answer:
        before = None if cursor is None else decode_id(cursor)
        page = await services.reads.page(reader, limit=limit, request_id=request.scope[REQUEST_ID], before=before)
        next_cursor = None if page.next is None else encode_cursor(id=page.next)
        meta = {"total": 0, "limit": limit, "offset": 0, "next_cursor": next_cursor}
        return Answer(200, success([_shown(reading) for reading in page.readings], meta))


def _shown(reading: ListedReading) -> dict[str, Any]:
    return {
        "id": reading.id,
        "at": shown(reading.at),
        "reader": reading.reader,
        # As everywhere, that staff acted is shown, and not which employee.
        "impersonated": reading.impersonator is not None,
        "action": reading.action,
        "filter": reading.filter,
        "count": reading.count,
        "outcome": reading.outcome,
        "request_id": reading.request_id,
    }
