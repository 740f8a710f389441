"""The summary of the audit log in /openapi.json."""

from typing import Final

from api.audit.description import LAST_EVENT_AT
from api.schemas import REQUEST_ID, Json, failure, failures, readers
from application.audit.summary import LONGEST, DayCount
from application.identity import AUDIT_READ
from domain.errors import MissingScope, Unauthenticated, Unavailable, ValidationFailed

_DAY: Final[Json] = {
    "day": "2026-11-01",
    "channel": "email",
    "toggle": "weekly_usage_digest",
    "source": "dashboard",
    "opt_ins": 12,
    "opt_outs": 3,
}


def audit_summary() -> Json:
    # This example has no null, because the framework drops nulls, also from examples.
    meta = {
        "total": 0,
        "limit": 1,
        "offset": 0,
        "since": "2025-11-28T00:00:00.000000Z",
        "until": "2026-11-28T00:00:00.000000Z",
        "last_event_at": "2026-11-27T12:05:00.000000Z",
    }
    wrong = f"A wrong value of the query, an unknown or repeated parameter, or more than {LONGEST.days} days."
    return {
        "operation_id": "summarizeAuditLog",
        "summary": "Count opt-ins and opt-outs by day",
        "description": "How many choices the users of the organization switched on and off, by UTC day, channel, toggle and "
        "source, in this order; a combination without a choice is left out. It counts the entries that "
        f"`GET /v1/audit-log` shows, of up to {LONGEST.days} days. If `since` or `until` cuts a day, only its part is counted. "
        "Needs the scope `audit:read`. Every reading is itself recorded.\n\n"
        "`Accept: text/csv` asks for the same as a file.",
        "tags": ["Evidence"],
        "responses": {
            200: {
                "description": "The counts, all of them.",
                "headers": {**REQUEST_ID, **LAST_EVENT_AT},
                "content": {
                    "application/json": {"example": {"success": True, "data": [_DAY], "meta": meta}},
                    "text/csv": {
                        "schema": {"type": "string"},
                        "example": f"{','.join(DayCount._fields)}\r\n{','.join(map(str, _DAY.values()))}\r\n",
                    },
                },
            },
            **failures(Unauthenticated, MissingScope, Unavailable),
            422: failure(ValidationFailed, wrong, {"since": f"must be at most {LONGEST.days} days before until"}),
        },
        "openapi_extra": readers(AUDIT_READ),
    }
