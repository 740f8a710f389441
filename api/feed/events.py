"""GET /v1/events: the log as a feed, for machines."""

import re
from typing import Annotated, Final

from fastapi import FastAPI, Header, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.feed import event_description as description
from api.feed.answers import LINES, PAGE, STREAM, FeedAnswers
from api.feed.server_sent_events import ServerSentEvents
from api.http import media_types
from api.http.authentication import EventsReader
from api.http.cursors import LAST, decode_position
from api.http.exact_query import ExactQuery
from api.http.trailer import Trailer, asked_for
from api.services import Services
from application.feed.feed import select
from application.identity import EVENTS_READ
from application.vocabulary import validate_with_history
from domain.errors import ValidationFailed

PATH: Final = "/v1/events"
DEFAULT: Final = 100
MAX_PAGE: Final = 1_000
"""Events of a page, at most."""


def add(app: FastAPI, services: Services) -> None:
    events = ServerSentEvents(services.live_feed, services.feed_heartbeat)
    answers = FeedAnswers(services.feed, events, services.feed_send_within)
    filters = description.filters(services.catalogue)

    @app.get(PATH, response_model=None, **description.events())
    async def read_events(
        request: Request,
        reader: EventsReader,
        _: Annotated[None, ExactQuery],
        after: Annotated[int, Query(ge=0, le=LAST, description=description.AFTER)] = 0,
        limit: Annotated[
            int | None,
            Query(ge=1, le=MAX_PAGE, description=description.LIMIT),
            WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
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
        selection = await validate_with_history(
            services.catalogue,
            services.published,
            lambda catalogue: select(catalogue, reader.organization, kind, channel, toggle),
        )
        start = after if cursor is None else decode_position(cursor)
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
    """The position of the last event that the reader has received; None if the value is absent or blank."""
    if position is None or not position.strip():
        return None
    if not re.fullmatch(r"[0-9]{1,19}", position.strip()) or int(position) > LAST:
        raise ValidationFailed(details={name: "must be a position, which a message of the stream has as its id"})
    return int(position)
