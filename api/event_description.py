"""What /openapi.json says of the feed of events."""

from typing import Any, Final

from api.description import readers
from api.schemas import REQUEST_ID, REQUEST_ID_EXAMPLE, ULID, Json, choice_filters, failure, failures
from domain.catalogue import Catalogue
from domain.errors import MissingScope, Unauthenticated, Unavailable, ValidationFailed
from projections.cloud_events import SOURCE, TYPES

AFTER: Final = (
    "A position: only events behind it are answered. 0 is the beginning; beyond the end there is nothing, yet."
)
LIMIT: Final = "Events at most. Absent, a page has 100, lines have all there are. A stream has no end, and no limit."
CURSOR: Final = "`meta.next_cursor` of the page before. It wins over `after`."
LAST_EVENT_ID: Final = (
    "Of a stream: the position of the last event received. It wins over `after` and `cursor`; blank, it is absent."
)
LAST_EVENT_ID_OF_QUERY: Final = "The same for clients that can't send the header, which wins over it. Of a stream only."

_EXAMPLE: Final[Json] = {
    "specversion": "1.0",
    "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
    "source": SOURCE,
    "type": "notification-preferences.toggled.v1",
    "time": "2026-04-26T12:00:00.123456Z",
    "sequence": "00000000000000000042",
    "partitionkey": "5d2c9c3e-6e0a-5b1c-8d2c-0f8a5a1b7c11",
    "datacontenttype": "application/json",
    "dataschema": "urn:notification-preferences:schema:toggled.v1",
    "subject": "user_ada",
    "data": {
        "channel": "email",
        "toggle": "weekly_usage_digest",
        "enabled": True,
        "previous": False,
        "organization": "org_math",
        "actor": {"kind": "customer", "label": "user_ada"},
        "source": "dashboard",
        "request_id": REQUEST_ID_EXAMPLE,
        "catalogue_version": 1,
        "version": 3,
    },
}
_EVENT: Final[Json] = {
    "type": "object",
    "description": "A CloudEvent 1.0. `docs/schemas` describes `data` for each `dataschema`.",
    "required": [name for name in _EXAMPLE if name != "subject"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": ULID, "description": "The event's own; the one to recognise it by."},
        "source": {"const": SOURCE},
        "type": {"enum": list(TYPES.values())},
        "time": {"type": "string", "format": "date-time", "description": "When it happened, in UTC."},
        "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "The event's position in the log."},
        "partitionkey": {
            "type": "string",
            "format": "uuid",
            "description": "The stream: the same user in the same organization, before and after erasure.",
        },
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string"},
        "subject": {"type": "string", "description": "The user; absent where nobody can say any more who it was."},
        "data": {"type": "object"},
    },
}
_META: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["total", "limit", "offset", "next_cursor", "next_after"],
    "properties": {
        "total": {"const": 0, "description": "Always 0."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "As asked for."},
        "offset": {"const": 0, "description": "Always 0."},
        "next_cursor": {
            "type": ["string", "null"],
            "description": "Pass it as `cursor` for the next page; null where the log ended.",
        },
        "next_after": {
            "type": "integer",
            "minimum": 0,
            "description": "The position to go on from, now or later: all that was asked for up to there has been answered.",
        },
    },
}
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
        "data": [_EXAMPLE],
        "meta": {"total": 0, "limit": 1, "offset": 0, "next_cursor": "eyJwb3NpdGlvbiI6IDQyfQ==", "next_after": 42},
    }
    return {
        "operation_id": "readEvents",
        "summary": "Read the feed of events",
        "description": "Needs the scope `events:read`. Every event since the beginning, in the order of the log; nothing is ever missed by who goes on "
        "from the position last given. A key of an organization sees the events of that organization and of the "
        "catalogue, a key of the platform all.\n\n`Accept` decides the form. `application/json`: a page; with a filter it may have "
        "fewer events than there are, so go on until `next_cursor` is null. `application/x-ndjson`: one event a line, up to "
        "the end of the log at the time. `text/event-stream`: the same events as server-sent events, whose `id` is the "
        "position, and then each new one as it is recorded; a comment when there is none, or `event: position` where the position moved on. A reader that doesn't take "
        "what it is sent is cut off, and goes on from its `Last-Event-ID`.",
        "tags": ["Events"],
        "responses": {
            200: {
                "description": "Events, in log order.",
                "headers": {**REQUEST_ID, **_NEXT_AFTER},
                "content": {
                    "application/json": {"schema": _page(), "example": page},
                    "application/x-ndjson": {"schema": _EVENT, "example": _EXAMPLE},
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
            **failures(Unauthenticated, MissingScope, Unavailable),
            422: failure(
                ValidationFailed, "A wrong value of the query or of `Last-Event-ID`.", {"type": "unknown type"}
            ),
        },
        "openapi_extra": {"security": readers("events:read")},
    }


def _page() -> Json:
    properties: dict[str, Any] = {
        "success": {"const": True},
        "data": {"type": "array", "items": _EVENT, "maxItems": 1000},
        "meta": _META,
    }
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": properties}


def _frame() -> str:
    return f'id: 42\nevent: {_EXAMPLE["type"]}\ndata: {{"specversion":"1.0", …}}\n\n'
