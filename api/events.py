"""GET /v1/events: the log as a feed, for machines."""

import base64
import binascii
import json
from typing import Annotated, Final

from fastapi import FastAPI, Header, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api import event_description as description
from api import media_types
from api.authentication import EventsReader
from api.feed_answers import LINES, PAGE, STREAM
from api.services import Services
from application.feed import Selection
from application.identity import EVENTS_READ
from domain.catalogue import Catalogue
from domain.errors import ValidationFailed
from projections.cloud_events import TYPES

PATH: Final = "/v1/events"
DEFAULT: Final = 100
MOST: Final = 1_000
"""Events of a page."""
LAST: Final = 2**63 - 1
"""No position is beyond it."""

KINDS: Final = {name: kind for kind, name in TYPES.items()}


def add(app: FastAPI, services: Services) -> None:
    answers = services.feed
    filters = description.filters(services.catalogue)

    @app.get(PATH, response_model=None, **description.events())
    async def read_events(
        request: Request,
        reader: EventsReader,
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
        kind: Annotated[str | None, Query(alias="type"), WithJsonSchema(filters["type"])] = None,
        channel: Annotated[str | None, Query(), WithJsonSchema(filters["channel"])] = None,
        toggle: Annotated[str | None, Query(), WithJsonSchema(filters["toggle"])] = None,
        last_event_id: Annotated[
            int | None,
            Header(ge=0, le=LAST, description=description.LAST_EVENT_ID),
            WithJsonSchema({"type": "integer", "minimum": 0}),
        ] = None,
    ) -> Response:
        selection = selected(services.catalogue, reader.organization, kind, channel, toggle)
        start = after if cursor is None else decode_cursor(cursor)
        form = media_types.wanted(request.scope, (PAGE, LINES, STREAM))
        if form == STREAM:
            if limit is not None:
                raise ValidationFailed(details={"limit": "must be absent where there is no end"})
            return answers.stream(
                start if last_event_id is None else last_event_id,
                selection,
                lambda: services.authenticator.reader(request.scope, EVENTS_READ),
            )
        if form == LINES:
            return await answers.lines(start, limit, selection)
        return await answers.page(start, limit or DEFAULT, selection)


def selected(
    catalogue: Catalogue, organization: str | None, kind: str | None, channel: str | None, toggle: str | None
) -> Selection:
    """Raises `ValidationFailed` for what the log can't have: an empty page would hide that a word is misspelt."""
    details = {}
    if kind is not None and kind not in KINDS:
        details["type"] = "unknown type"
    channels = [known for known in catalogue.channels if channel in (None, known.name)]
    if not channels:
        details["channel"] = "unknown channel"
    elif toggle is not None and not any(toggle == known.name for one in channels for known in one.visible):
        details["toggle"] = "unknown toggle"
    if details:
        raise ValidationFailed(details=details)
    return Selection(organization, None if kind is None else KINDS[kind], channel, toggle)


def decode_cursor(cursor: str) -> int:
    try:
        position = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))["position"]
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        position = None
    if type(position) is not int or not 0 <= position <= LAST:
        raise ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
    return position
