"""GET /v1/users/{user_id}/notifications, and its history: what a user of the caller's organization gets, or got, and why."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Path, Query, Request
from pydantic import BaseModel, Field, WithJsonSchema

from api.audit import users_description
from api.http.answer import Answer, success
from api.http.authentication import AuditReader
from api.http.exact_query import ExactQuery
from api.http.instants import Instant, shown
from api.http.request_context import REQUEST_ID
from api.preferences.history import Cursor, HistoryPage, Limit, answered, page_start
from api.schemas import ULID, SourceName, SuccessAnswer, Who
from api.services import Services
from domain.catalogue import path
from domain.isolation import ShownToggled
from projections.as_of import PreferencesAsOf
from projections.shown_actor import shown_actor

# A user's id may contain slashes: uvicorn decodes `%2F` before the routes see the path, and so do proxies that rewrite paths.
# No path is ambiguous: the id is everything between `/v1/users/` and the fixed end of the route.
PATH: Final = "/v1/users/{user_id:path}/notifications"


class Choice(BaseModel):
    id: str = Field(description="ULID of the event.", pattern=ULID)
    occurred_at: datetime = Field(description="When the choice was made, in UTC.")
    version: int = Field(description="The event's place in the user's own stream.", ge=1)
    actor: Who
    source: SourceName
    request_id: str = Field(description="ULID of the request that made the choice.", pattern=ULID)
    catalogue_version: int = Field(description="The catalogue that the user was shown.")


class ShownWords(BaseModel):
    title: str
    description: str


class Explanation(BaseModel):
    enabled: bool
    decided_by: Literal["choice", "default"]
    event: Choice | None = Field(default=None, description="The choice; null where the catalogue's default decided.")
    words: ShownWords | None = Field(
        default=None,
        description="What the user was told that this toggle is: by the catalogue that was shown when the choice was made, or "
        "else by the one in force at the instant. null where that catalogue was published without words.",
    )


class PreferencesAt(BaseModel):
    user_id: str
    as_of: datetime = Field(description="The instant that is spoken of, in UTC: the one asked for, or now.")
    catalogue_version: int = Field(
        description="The catalogue in force at that instant; it says which toggles there are."
    )
    version: int = Field(description="Events of this user until that instant; 0 for who had never chosen.", ge=0)
    notifications: dict[str, dict[str, bool]] = Field(description="Resolved, as the user would have been answered.")
    explain: dict[str, dict[str, Explanation]] = Field(
        default_factory=dict, description="Why, in the shape of `notifications`; only with `include=explain`."
    )


class PreferencesAnswer(SuccessAnswer):
    data: PreferencesAt


UserId = Annotated[str, Path(description="The user, e.g. `user_ada`.", pattern="^[!-~]+$", max_length=255)]
Include = Annotated[
    Literal["explain"] | None,
    Query(description="`explain`: say for each toggle what decided it."),
    WithJsonSchema({"type": "string", "enum": ["explain"]}),
]


def add(app: FastAPI, services: Services) -> None:
    @app.get(PATH, response_model=PreferencesAnswer, **users_description.preferences())
    async def read_preferences(
        request: Request,
        reader: AuditReader,
        _: Annotated[None, ExactQuery],
        user_id: UserId,
        as_of: Annotated[Instant, Query(description="The instant asked about; without it, now.")] = None,
        include: Include = None,
    ) -> Answer:
        instant, found = await services.users.preferences(
            reader, user_id, as_of, explain=include is not None, request_id=request.scope[REQUEST_ID]
        )
        data = {
            "user_id": user_id,
            "as_of": shown(instant),
            "catalogue_version": found.catalogue.version,
            "version": found.version,
            "notifications": found.resolved,
        }
        return Answer(200, success(data if include is None else {**data, "explain": _explained(found)}))

    @app.get(f"{PATH}/history", response_model=HistoryPage, **users_description.history())
    async def read_user_history(
        request: Request,
        reader: AuditReader,
        _: Annotated[None, ExactQuery],
        user_id: UserId,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Answer:
        page = await services.users.history(
            reader, user_id, limit=limit, request_id=request.scope[REQUEST_ID], after=page_start(cursor)
        )
        return answered(page, limit)


def _explained(found: PreferencesAsOf) -> dict[str, dict[str, Any]]:
    return {
        channel: {
            toggle: {
                **_explanation(enabled, found.deciding.get(path(channel, toggle))),
                "words": words._asdict() if (words := found.words(channel, toggle)) else None,
            }
            for toggle, enabled in toggles.items()
        }
        for channel, toggles in found.resolved.items()
    }


def _explanation(enabled: bool, event: ShownToggled | None) -> dict[str, Any]:
    if event is None:
        return {"enabled": enabled, "decided_by": "default", "event": None}
    actor = shown_actor(event)
    choice = {
        "id": event.event_id,
        "occurred_at": shown(event.timestamp),
        "version": event.originator_version,
        "actor": {"kind": actor.kind, "label": actor.label},
        "source": event.source,
        "request_id": event.request_id,
        "catalogue_version": event.catalogue_version,
    }
    return {"enabled": enabled, "decided_by": "choice", "event": choice}
