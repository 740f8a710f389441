"""What /openapi.json says of each operation. The schemas of the preferences come from the catalogue itself."""

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse

from api.errors import MethodNotAllowed, PayloadTooLarge
from api.schemas import (
    ERROR_SCHEMA,
    ETAG,
    LINKS,
    REQUEST_ID,
    REQUEST_ID_EXAMPLE,
    Json,
    change_schema,
    conditional,
    failure,
    failures,
    findings_schema,
    readiness_schema,
    resolved_schema,
    success,
)
from domain.catalogue import Catalogue
from domain.change import PRECEDENCE
from domain.errors import (
    MalformedInput,
    NotFound,
    PreconditionFailed,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UserRequired,
    ValidationFailed,
)

OVERVIEW: Final = """\
Which e-mails a user gets, chosen by the user, per organization. Only explicit choices are stored; every answer is resolved,
with defaults filled in. Each change is kept for ever as an event that says who made it, when and from where.

Every response carries `X-Request-Id`. Errors have one shape: a stable `code`, a `message` for people, and `details` where a
field is at fault. A path that is not described here answers 404 `NOT_FOUND`; a method that its path does not know, 405
`METHOD_NOT_ALLOWED` with `Allow`.
"""

TAGS: Final[list[Json]] = [
    {"name": "Preferences", "description": "A user's own notification preferences, and their history."},
    {"name": "Evidence", "description": "What the users of an organization were subscribed to, when, and why."},
    {"name": "Events", "description": "For machines: every change since the beginning, in order, and each new one."},
    {"name": "Decisions", "description": "For senders: who may be written to, with what proves it later."},
    {"name": "Operations", "description": "For those who run the service."},
]

SECURITY_SCHEMES: Final[Json] = {
    "clerkJWT": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A Clerk session token of a signed-in user. Preferences are those of the user in the token's "
        "active organization; a token without one has a scope of its own. What else a user may read of the active "
        "organization depends on the user's role (setting `ROLE_SCOPES`; `audit:read` for an `admin` by default).",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "am_live_ and 36 characters",
        "description": "A key of an organization, or of the platform, which belongs to none. It may do what its scopes say, "
        "and is refused wherever a user's own preferences are meant.",
    },
}


def readers(scope: str) -> list[Json]:
    """The `security` of an operation that sessions and keys with this scope may call."""
    return [{"clerkJWT": [scope]}, {"apiKey": [scope]}]


def document(app: FastAPI) -> Json:
    """The OpenAPI document of the application."""
    document = get_openapi(title=app.title, version=app.version, description=OVERVIEW, tags=TAGS, routes=app.routes)
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    components.setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    # No operation's own, since no operation is reached.
    components["responses"] = {error.__name__: failure(error) for error in (NotFound, MethodNotAllowed)}
    return document


def read(catalogue: Catalogue) -> Json:
    example = catalogue.resolve({})
    return {
        "operation_id": "getMyNotificationPreferences",
        "summary": "Read my notification preferences",
        "description": "Every toggle of every channel, resolved: what you chose, and the default where you did not choose. "
        "Reading stores nothing. Send the `ETag` back as `If-None-Match` to be told with a 304 that nothing changed.",
        "tags": ["Preferences"],
        "response_model": None,
        "responses": {
            200: success("The resolved preferences.", resolved_schema(catalogue), example, ETAG, LINKS),
            304: {"description": "Still the state that `If-None-Match` names.", "headers": {**REQUEST_ID, **ETAG}},
            **failures(Unauthenticated, UserRequired, Unavailable),
        },
        "openapi_extra": {
            "security": [{"clerkJWT": []}],
            "parameters": [conditional("If-None-Match", "Answer 304 if this is still the state's `ETag`.")],
        },
    }


def change(catalogue: Catalogue) -> Json:
    example = catalogue.resolve({"email.weekly_usage_digest": True})
    return {
        "operation_id": "changeMyNotificationPreferences",
        "summary": "Change my notification preferences",
        "description": "Send only what you want to change. Booleans replace; what is absent keeps its value; anything else "
        "is refused, and a refused request changes nothing. Each choice that differs from the recorded one is recorded "
        "as an event, also where it equals the default: from then on it is yours, and a new default does not touch it. "
        "The answer is the full state after the change.\n\nAn empty body changes nothing and answers the current state.",
        "tags": ["Preferences"],
        "response_model": None,
        "responses": {
            200: success(
                "The resolved preferences after the change.", resolved_schema(catalogue), example, ETAG, LINKS
            ),
            **failures(
                MalformedInput,
                Unauthenticated,
                UserRequired,
                PreconditionFailed,
                PayloadTooLarge,
                *PRECEDENCE,
                RateLimited,
                Unavailable,
            ),
        },
        "openapi_extra": {
            "security": [{"clerkJWT": []}],
            "parameters": [
                conditional("If-Match", "Change only if this is still the state's `ETag`; else answer 412.")
            ],
            "requestBody": {
                "required": False,
                "content": {
                    "application/json": {
                        "schema": change_schema(catalogue),
                        "examples": {
                            "one toggle": {"value": {"email": {"weekly_usage_digest": True}}},
                            "several toggles": {
                                "value": {"email": {"product_updates": False, "delivery_alerts": True}}
                            },
                            "nothing": {"value": {}},
                        },
                    }
                },
            },
        },
    }


def history() -> Json:
    # Without a null in it: the framework leaves nulls out of what it is given, in examples too.
    entry = {
        "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
        "occurred_at": "2026-04-26T12:00:00.123456Z",
        "channel": "email",
        "toggle": "weekly_usage_digest",
        "enabled": True,
        "previous": False,
        "actor": {"kind": "customer", "label": "user_ada"},
        "source": "dashboard",
        "request_id": REQUEST_ID_EXAMPLE,
    }
    meta = {
        "total": 0,
        "limit": 1,
        "offset": 0,
        "next_cursor": "eyJ2ZXJzaW9uIjogMywgImlkIjogIjAxSlRCUUgyRzFUM1pDNVg4RTlWN000TjZQIn0=",
    }
    example = {"success": True, "data": [entry], "meta": meta}
    wrong = "A wrong `limit`, a `cursor` that is not from this history, or an unknown or repeated parameter."
    return {
        "operation_id": "getMyNotificationHistory",
        "summary": "Read the history of my notification preferences",
        "description": "What was changed, when, from where and by whom, newest first. The history of the user in the "
        "token's active organization; it is never shortened.",
        "tags": ["Preferences"],
        "responses": {
            200: {
                "description": "A page of the history.",
                "headers": REQUEST_ID,
                "content": {"application/json": {"example": example}},
                "links": {
                    "nextPage": {
                        "operationId": "getMyNotificationHistory",
                        "parameters": {"cursor": "$response.body#/meta/next_cursor"},
                        "description": "As long as `next_cursor` is not null.",
                    }
                },
            },
            **failures(Unauthenticated, UserRequired, Unavailable),
            422: failure(ValidationFailed, wrong, {"limit": "must be less than or equal to 200"}),
        },
        "openapi_extra": {"security": [{"clerkJWT": []}]},
    }


def health() -> Json:
    return {
        "operation_id": "getHealth",
        "summary": "Does the process live?",
        "description": "Answers as long as the process can answer at all. Depends on nothing else.",
        "tags": ["Operations"],
        "responses": {200: success("It does.", findings_schema("process"), {"process": "ok"}), **failures()},
    }


def readiness() -> Json:
    findings = {"database": "ok", "migrations": "ok", "catalogue": "ok", "keys": "ok"}
    follower = {"name": "audit-index", "state": "running", "position": 81, "lag_events": 2, "lag_seconds": 0.013}
    example = {**findings, "followers": [follower]}
    missing = "Something that the service depends on is missing; `details` says what."
    answers = failures() | {503: failure(Unavailable, missing, {"database": "can't be reached"})}
    return {
        "operation_id": "getReadiness",
        "summary": "Can the service serve?",
        "description": "Looks at the database, at its migrations, at the published catalogue, and at the keys that tokens "
        "are verified with. How far those are that follow the log is told as well, and has no part in the verdict: requests "
        "are served without them.",
        "tags": ["Operations"],
        "responses": {200: success("It can.", readiness_schema(*findings), example), **answers},
    }


def metrics() -> Json:
    example = (
        "# TYPE http_server_request_duration_seconds histogram\n"
        'http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",'
        'http_route="/v1/me/notifications",le="0.001"} 41.0\n'
        '# TYPE preferences_follower_lag_events gauge\npreferences_follower_lag_events{follower="audit-index"} 2.0\n'
    )
    return {
        "operation_id": "getMetrics",
        "summary": "Metrics for Prometheus",
        "description": "How long requests took, by method, route and status. For each follower of the log: position, lag in "
        "events and in seconds, whether it has failed, is paused, is led by a process; without the database, only that "
        "this isn't known. All of it is the same whichever worker process answers.",
        "tags": ["Operations"],
        "response_class": PlainTextResponse,
        "responses": {
            200: {
                "description": "Prometheus' text format.",
                "headers": REQUEST_ID,
                "content": {"text/plain": {"schema": {"type": "string"}, "example": example}},
            },
            **failures(),
        },
    }
