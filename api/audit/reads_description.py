"""The record of reading in /openapi.json."""

from api.schemas import REQUEST_ID, REQUEST_ID_EXAMPLE, Json, failure, failures, next_page, readers
from application.identity import AUDIT_READ
from domain.errors import MissingScope, Unauthenticated, Unavailable, ValidationFailed


def reads() -> Json:
    reading = {
        "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
        "at": "2026-04-26T12:00:00.123456Z",
        "reader": "user:user_grace",
        "impersonated": False,
        "action": "audit_log.read",
        "filter": {"toggle": "weekly_usage_digest", "limit": 50},
        "count": 50,
        "outcome": "complete",
        "request_id": REQUEST_ID_EXAMPLE,
    }
    meta = {"total": 0, "limit": 1, "offset": 0, "next_cursor": "eyJpZCI6ICIwMUpUQlFIMkcxVDNaQzVYOEU5VjdNNE42UCJ9"}
    return {
        "operation_id": "listReadings",
        "summary": "Read who has read what in the organization",
        "description": "Every page and export of the audit log, every look at one user, every bundle, newest first: who, when, with "
        "which filter, and how many entries. This reading is recorded, too. Needs the scope `audit:read`, and shows the caller's "
        "own organization only.",
        "tags": ["Evidence"],
        "responses": {
            200: {
                "description": "A page of the record.",
                "headers": REQUEST_ID,
                "content": {
                    "application/json": {
                        "examples": {"a page": {"value": {"success": True, "data": [reading], "meta": meta}}}
                    }
                },
                "links": next_page("listReadings"),
            },
            **failures(Unauthenticated, MissingScope, Unavailable),
            422: failure(
                ValidationFailed,
                "A wrong value of the query, or a `cursor` that is none.",
                {"cursor": "must be one that this endpoint returned"},
            ),
        },
        "openapi_extra": readers(AUDIT_READ),
    }
