"""The operations on one user of an organization in /openapi.json."""

from typing import Final

from api.preferences import description
from api.schemas import REQUEST_ID, REQUEST_ID_EXAMPLE, Json, failure, failures, readers
from application.identity import AUDIT_READ
from domain.errors import MissingScope, Unauthenticated, Unavailable, ValidationFailed

_OF_WHOM: Final = (
    "Needs the scope `audit:read`. It is always a user's preferences in the caller's own organization that are told: who is "
    "a member is not known here, so a user of another organization answers like one who never chose."
)


def preferences() -> Json:
    # This example has no null, because the framework drops nulls, also from examples.
    choice = {
        "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
        "occurred_at": "2026-03-01T08:30:00.123456Z",
        "version": 2,
        "actor": {"kind": "customer", "label": "user_ada"},
        "source": "dashboard",
        "request_id": REQUEST_ID_EXAMPLE,
        "catalogue_version": 1,
    }
    data = {
        "user_id": "user_ada",
        "as_of": "2026-03-03T12:00:00Z",
        "catalogue_version": 1,
        "version": 2,
        "notifications": {"email": {"product_updates": True, "weekly_usage_digest": True}},
    }
    words = {"title": "Product updates", "description": "News about new features and improvements."}
    digest = {"title": "Weekly usage digest", "description": "A summary of your usage, once a week."}
    explain = {
        "email": {
            "product_updates": {"enabled": True, "decided_by": "default", "words": words},
            "weekly_usage_digest": {"enabled": True, "decided_by": "choice", "event": choice, "words": digest},
        }
    }
    wrong = (
        "An `as_of` without a zone or in the future, something else to `include` than `explain`, or an unknown or repeated "
        "parameter."
    )
    return {
        "operation_id": "getUserNotificationPreferences",
        "summary": "Read a user's notification preferences at any point in time",
        "description": "What the user was subscribed to at the instant `as_of`, or is now: the choices recorded until then, "
        "and the defaults of the catalogue that was in force then. With `include=explain`, every toggle says whether a "
        "choice or a default decided it, which event recorded the choice, and in which words the user was told what the toggle "
        f"is.\n\n{_OF_WHOM}",
        "tags": ["Evidence"],
        "responses": {
            200: {
                "description": "The resolved preferences at that instant.",
                "headers": REQUEST_ID,
                "content": {
                    "application/json": {
                        "examples": {
                            "at an instant": {"value": {"success": True, "data": data}},
                            "explained": {"value": {"success": True, "data": {**data, "explain": explain}}},
                        }
                    }
                },
            },
            404: {"$ref": "#/components/responses/NotFound"},
            **failures(Unauthenticated, MissingScope, Unavailable),
            422: failure(ValidationFailed, wrong, {"as_of": "must be a date and time with a zone, as in RFC 3339"}),
        },
        "openapi_extra": readers(AUDIT_READ),
    }


def history() -> Json:
    mine = description.history()
    answered = mine["responses"][200]
    next_page = {**answered["links"]["nextPage"], "operationId": "getUserNotificationHistory"}
    return {
        **mine,
        "operation_id": "getUserNotificationHistory",
        "summary": "Read the history of a user's notification preferences",
        "description": f"What was changed, when, from where and by whom, newest first.\n\n{_OF_WHOM}",
        "tags": ["Evidence"],
        "responses": {
            **mine["responses"],
            404: {"$ref": "#/components/responses/NotFound"},
            **failures(Unauthenticated, MissingScope, Unavailable),
            200: {**answered, "links": {"nextPage": next_page}},
        },
        "openapi_extra": readers(AUDIT_READ),
    }
