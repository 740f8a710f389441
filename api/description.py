"""What /openapi.json says of each operation. The schemas of the preferences come from the catalogue itself."""

from typing import Final

from fastapi.responses import PlainTextResponse

from api.http.errors import PayloadTooLarge
from api.schemas import (
    ETAG,
    LINKS,
    REQUEST_ID,
    REQUEST_ID_EXAMPLE,
    Json,
    conditional,
    failure,
    failures,
    reference,
    success,
)
from domain.catalogue import Catalogue
from domain.change import PRECEDENCE
from domain.errors import (
    MalformedInput,
    PreconditionFailed,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UserRequired,
    ValidationFailed,
)


def readers(scope: str) -> Json:
    """What an operation says of its callers that sessions and keys with this scope may call.

    OpenAPI 3.1 allows the scope inside `security`, but tools that know 3.0 refuse it: only OAuth had scopes there.
    """
    return {"security": [{"clerkJWT": []}, {"apiKey": []}], "x-scope": scope}


# Needs no credentials. It has to be said: tools take an operation without `security` for one that was forgotten.
PUBLIC: Final[Json] = {"security": []}

_ANOTHER_METHOD: Final[dict[int, Json]] = {405: {"$ref": "#/components/responses/MethodNotAllowed"}}


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
            200: success("The resolved preferences.", "MyPreferencesAnswer", example, ETAG, LINKS),
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
            200: success("The resolved preferences after the change.", "MyPreferencesAnswer", example, ETAG, LINKS),
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
                        "schema": reference("PreferencesChange"),
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
        "responses": {200: success("It does.", "HealthAnswer", {"process": "ok"}), **_ANOTHER_METHOD, **failures()},
        "openapi_extra": PUBLIC,
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
        "responses": {200: success("It can.", "ReadinessAnswer", example), **_ANOTHER_METHOD, **answers},
        "openapi_extra": PUBLIC,
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
            **_ANOTHER_METHOD,
            **failures(),
        },
        "openapi_extra": PUBLIC,
    }
