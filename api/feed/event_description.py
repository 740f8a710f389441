"""The feed of events in /openapi.json."""

import json
from typing import Final

from api.feed.cloud_event_description import EXAMPLE
from api.schemas import REQUEST_ID, Json, choice_filters, failure, failures, lines, readers, reference
from domain.catalogue import Catalogue
from domain.errors import BeyondTheEnd, MissingScope, Unauthenticated, Unavailable, ValidationFailed
from projections.cloud_events import TYPES

AFTER: Final = "A position: only events after it are answered. 0 is the beginning; one beyond the end is refused."
LIMIT: Final = "Events at most. Absent, a page has 100, lines have all there are. A stream has no end, and no limit."
CURSOR: Final = "`meta.next_cursor` of the page before. It wins over `after`."
LAST_EVENT_ID: Final = (
    "Of a stream: the position of the last event received. It wins over `after` and `cursor`; blank, it is absent."
)
LAST_EVENT_ID_OF_QUERY: Final = "The same for clients that can't send the header, which wins over it. Of a stream only."

_NEXT_AFTER: Final[Json] = {
    "X-Next-After": {
        "description": "Of lines: the position to go on from, once all of them were received.",
        "required": False,
        "schema": {"type": "integer", "minimum": 0},
    }
}


def filters(catalogue: Catalogue) -> dict[str, Json]:
    """The schemas of the query values that select events."""
    kind = {"type": "string", "enum": list(TYPES.values()), "description": "Only events of this type."}
    return {"type": kind, **choice_filters(catalogue)}


def events() -> Json:
    page = {
        "success": True,
        "data": [EXAMPLE],
        "meta": {"total": 0, "limit": 1, "offset": 0, "next_cursor": "eyJwb3NpdGlvbiI6IDQyfQ==", "next_after": 42},
    }
    return {
        "operation_id": "readEvents",
        "summary": "Read the feed of events",
        "description": "Needs the scope `events:read`. Every event since the beginning, in the order of the log; nothing is ever missed by who goes on "
        "from the position last given. A key of an organization sees the events of that organization and of the "
        "catalogue, a key of the platform all.\n\n`Accept` decides the form. `application/json`: a page; with a filter it may have "
        "fewer events than there are, so go on until `next_cursor` is null. `application/x-ndjson`: one event a line, up to "
        "the end of the log at the time; with `trailer=true` a last line says that it is the end. `text/event-stream`: the same events as server-sent events, whose `id` is the "
        "position, and then each new one as it is recorded; a comment when there is none, or `event: position` where the position moved on. A reader that doesn't take "
        "what it is sent is cut off, and goes on from its `Last-Event-ID`.\n\nAfter a failover events may be lost that were read. The log then continues "
        "after all positions that were ever given, with an event `notification-preferences.continued.v1`: events between its `previous_end` "
        "and itself are gone. Until then, a page or lines from beyond the end are answered 409, and a stream says so in its comments.",
        "tags": ["Events"],
        "responses": {
            200: {
                "description": "Events, in log order.",
                "headers": {**REQUEST_ID, **_NEXT_AFTER},
                "content": {
                    "application/json": {"schema": reference("EventPage"), "example": page},
                    "application/x-ndjson": lines("CloudEvent", f"{json.dumps(EXAMPLE)}\n"),
                    "text/event-stream": {"schema": {"type": "string"}, "example": _frame()},
                },
                "links": {
                    "nextPage": {
                        "operationId": "readEvents",
                        "parameters": {"after": "$response.body#/meta/next_after"},
                        "description": "Whenever there may be more.",
                    }
                },
            },
            **failures(Unauthenticated, MissingScope, BeyondTheEnd, Unavailable),
            422: failure(
                ValidationFailed, "A wrong value of the query or of `Last-Event-ID`.", {"type": "unknown type"}
            ),
        },
        "openapi_extra": readers("events:read"),
    }


def _frame() -> str:
    return f'id: 42\nevent: {EXAMPLE["type"]}\ndata: {{"specversion":"1.0", …}}\n\n'
