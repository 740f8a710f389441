"""GET /v1/events: the log as a feed, for machines."""

import base64
import binascii
import json
import re
from typing import Annotated, Final

from fastapi import FastAPI, Header, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.feed import event_description as description
from api.feed.answers import LINES, PAGE, STREAM
from api.http import media_types
from api.http.authentication import EventsReader
from api.http.exact_query import ExactQuery
from api.http.trailer import Trailer, asked_for
from api.services import Services
from application.feed.feed import select
from application.identity import EVENTS_READ
from application.vocabulary import checked
from domain.errors import ValidationFailed

PATH: Final = "/v1/events"
DEFAULT: Final = 100
MOST: Final = 1_000
"""Events of a page."""
LAST: Final = 2**63 - 1
"""No position is beyond it."""


def add(app: FastAPI, services: Services) -> None:
    answers = services.feed
    filters = description.filters(services.catalogue)

    @app.get(PATH, response_model=None, **description.events())
    async def read_events(
        request: Request,
        reader: EventsReader,
        _: Annotated[None, ExactQuery],
        after: Annotated[int, Query(ge=0, le=LAST, description=description.AFTER)] = 0,
        limit: Annotated[
            int | None,
            Query(ge=1, le=MOST, description=description.LIMIT),
            WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST}),
        ] = None,
        cursor: Annotated[
            str | None,
            Query(max_length=128, description=description.CURSOR),
            WithJsonSchema({"type": "string", "maxLength": 128}),
        ] = None,
        trailer: Trailer = None,
        kind: Annotated[str | None, Query(alias="type"), WithJsonSchema(filters["type"])] = None,
        channel: Annotated[str | None, Query(), WithJsonSchema(filters["channel"])] = None,
        toggle: Annotated[str | None, Query(), WithJsonSchema(filters["toggle"])] = None,
        last_event_id: Annotated[
            str | None,
            Header(description=description.LAST_EVENT_ID),
            WithJsonSchema({"type": "integer", "minimum": 0}),
        ] = None,
        last_event_id_of_query: Annotated[
            str | None,
            Query(alias="lastEventId", description=description.LAST_EVENT_ID_OF_QUERY),
            WithJsonSchema({"type": "integer", "minimum": 0}),
        ] = None,
    ) -> Response:
        selection = await checked(
            services.catalogue,
            services.published,
            lambda catalogue: select(catalogue, reader.organization, kind, channel, toggle),
        )
        start = after if cursor is None else decode_cursor(cursor)
        form = media_types.wanted(request.scope, (PAGE, LINES, STREAM))
        with_trailer = asked_for(trailer, lines=form == LINES)
        if form == STREAM:
            if limit is not None:
                raise ValidationFailed(details={"limit": "must be absent where there is no end"})
            received = _received(last_event_id, "last-event-id")
            if received is None:
                received = _received(last_event_id_of_query, "lastEventId")
            return answers.stream(
                start if received is None else received,
                selection,
                lambda: services.authenticator.reader(request.scope, EVENTS_READ),
            )
        if last_event_id_of_query is not None:
            raise ValidationFailed(details={"lastEventId": "must be absent where there is no stream"})
        if form == LINES:
            return await answers.lines(start, limit, selection, trailer=with_trailer)
        return await answers.page(start, limit or DEFAULT, selection)


def _received(position: str | None, name: str) -> int | None:
    """The position of the last event that a reader had; None where it says nothing, or sends nothing but blanks for that."""
    if position is None or not position.strip():
        return None
    if not re.fullmatch(r"[0-9]{1,19}", position.strip()) or int(position) > LAST:
        raise ValidationFailed(details={name: "must be a position, which a message of the stream has as its id"})
    return int(position)


def decode_cursor(cursor: str) -> int:
    try:
        position = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))["position"]
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        position = None
    if type(position) is not int or not 0 <= position <= LAST:
        raise ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
    return position
