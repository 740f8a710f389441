"""GET /v1/me/notifications/history: the user's own changes, newest first."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field, WithJsonSchema

from api.http.answer import Answer, success
from api.http.authentication import CurrentUser
from api.http.cursors import decode_cursor, encode_cursor
from api.http.exact_query import ExactQuery
from api.http.instants import shown
from api.preferences import description
from api.schemas import ULID, SourceName, SuccessAnswer, Who
from api.services import Services
from application.preferences.history import Page, PageStart
from projections.change_history import HistoryEntry

PATH: Final = "/v1/me/notifications/history"


class Entry(BaseModel):
    id: str = Field(description="ULID of the event.", pattern=ULID)
    occurred_at: datetime = Field(description="When the change was made, in UTC.")
    channel: str
    toggle: str
    enabled: bool = Field(description="What was chosen.")
    previous: bool | None = Field(description="The choice before; null if there was none and the default applied.")
    actor: Who
    source: SourceName
    request_id: str = Field(
        description="ULID of the request that made the change, as in its `X-Request-Id`.", pattern=ULID
    )


class Meta(BaseModel):
    total: int = Field(description="Always 0.", ge=0)
    limit: int = Field(description="As asked for.", ge=1, le=200)
    offset: int = Field(description="Always 0.", ge=0)
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class HistoryPage(SuccessAnswer):
    data: list[Entry]
    meta: Meta


Limit = Annotated[int, Query(ge=1, le=200, description="Entries per page.")]
Cursor = Annotated[
    str | None,
    Query(description="`meta.next_cursor` of the page before.", max_length=512),
    # The schema has no null, because a query can't contain one.
    WithJsonSchema({"type": "string", "maxLength": 512}),
]


def add(app: FastAPI, services: Services) -> None:
    @app.get(PATH, response_model=HistoryPage, **description.history())
    async def read_history(
        user: CurrentUser, _: Annotated[None, ExactQuery], limit: Limit = 50, cursor: Cursor = None
    ) -> Answer:
        page = await services.history.page(user.organization, user.user, limit=limit, after=page_start(cursor))
        return answered(page, limit)


def answered(page: Page, limit: int) -> Answer:
    next_cursor = encode_cursor(version=page.next.version, id=page.next.id) if page.next else None
    meta = {"total": 0, "limit": limit, "offset": 0, "next_cursor": next_cursor}
    return Answer(200, success([_shown(entry) for entry in page.entries], meta))


def page_start(cursor: str | None) -> PageStart | None:
    return None if cursor is None else PageStart(*decode_cursor(cursor, "version"))


def _shown(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "occurred_at": shown(entry.occurred_at),
        "channel": entry.channel,
        "toggle": entry.toggle,
        "enabled": entry.enabled,
        "previous": entry.previous,
        "actor": {"kind": entry.actor.kind, "label": entry.actor.label},
        "source": entry.source,
        "request_id": entry.request_id,
    }
