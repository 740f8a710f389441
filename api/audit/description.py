"""The audit log in /openapi.json."""

import json
from typing import Final

from api.audit.entries import COLUMNS
from api.schemas import REQUEST_ID, REQUEST_ID_EXAMPLE, Json, failure, failures, lines, next_page, readers
from application.identity import AUDIT_READ
from domain.errors import MissingScope, Unauthenticated, Unavailable, ValidationFailed

# This example has no null, because the framework drops nulls, also from examples.
_ENTRY: Final[Json] = {
    "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
    "occurred_at": "2026-04-26T12:00:00.123456Z",
    "actor": {"kind": "customer", "label": "user_ada"},
    "action": "notification_preferences.toggle",
    "resource": {"type": "user", "id": "user_ada"},
    "request_id": REQUEST_ID_EXAMPLE,
}
_ROW: Final = (
    "01JTBQH2G1T3ZC5X8E9V7M4N6P,2026-04-26T12:00:00.123456Z,customer,user_ada,notification_preferences.toggle,"
    f"user,user_ada,email,weekly_usage_digest,true,false,dashboard,,{REQUEST_ID_EXAMPLE}"
)


LAST_EVENT_AT: Final[Json] = {
    "X-Last-Event-At": {
        "description": "Of an export, once all of it was received: what a page says in `meta.last_event_at`. Absent before "
        "the feed has begun.",
        "required": False,
        "schema": {"type": "string", "format": "date-time"},
    }
}


def audit_log() -> Json:
    meta = {
        "total": 0,
        "limit": 1,
        "offset": 0,
        "next_cursor": "eyJwb3NpdGlvbiI6IDQyLCAiaWQiOiAiMDFKVEJRSDJHMVQzWkM1WDhFOVY3TTRONlAifQ==",
        "last_event_at": "2026-04-26T12:05:00.000000Z",
    }
    choice = {"channel": "email", "toggle": "weekly_usage_digest"}
    payload = {"before": {**choice, "enabled": True}, "after": {**choice, "enabled": False}, "source": "dashboard"}
    wrong = "A wrong value of the query, an unknown or repeated parameter, or a `cursor` that is not from this organization."
    return {
        "operation_id": "readAuditLog",
        "summary": "Read the audit log of the organization",
        "description": "Who did what to whose preferences, and when; newest first. Needs the scope `audit:read`, and shows the "
        "caller's own organization only. Every reading is itself recorded: who, filter, and how many entries.\n\n"
        "`Accept` decides the form. `application/json`: a page. `application/x-ndjson` and `text/csv`: all entries that "
        "fit, streamed, whatever their number, one JSON object or one row each. An export that breaks off ends "
        "without the end that HTTP asks for, which most clients report and some proxies hide: with `trailer=true` the last "
        "line of NDJSON says that it is the end. How far the whole of it goes, `X-Last-Event-At` says. In CSV, text that a spreadsheet "
        "would take for a formula has an apostrophe before it.",
        "tags": ["Evidence"],
        "responses": {
            200: {
                "description": "A page of the audit log, or all of it.",
                "headers": {**REQUEST_ID, **LAST_EVENT_AT},
                "content": {
                    "application/json": {
                        "examples": {
                            "a page": {"value": {"success": True, "data": [_ENTRY], "meta": meta}},
                            "with payload": {
                                "value": {"success": True, "data": [{**_ENTRY, "payload": payload}], "meta": meta}
                            },
                        }
                    },
                    "application/x-ndjson": lines("AuditEntry", f"{json.dumps(_ENTRY)}\n"),
                    "text/csv": {"schema": {"type": "string"}, "example": f"{','.join(COLUMNS)}\r\n{_ROW}\r\n"},
                },
                "links": next_page("readAuditLog"),
            },
            **failures(Unauthenticated, MissingScope, Unavailable),
            422: failure(ValidationFailed, wrong, {"since": "must not be after until", "toggle": "unknown toggle"}),
        },
        "openapi_extra": readers(AUDIT_READ),
    }
