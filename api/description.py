"""What /openapi.json says of each operation. The schemas of the preferences come from the catalogue itself."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import STATUS, MethodNotAllowed, PayloadTooLarge, Unforeseen
from domain.catalogue import Catalogue
from domain.change import PRECEDENCE
from domain.errors import (
    MalformedInput,
    NotFound,
    PreconditionFailed,
    RateLimited,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UserRequired,
    ValidationFailed,
)

Json = dict[str, Any]

REQUEST_ID_EXAMPLE: Final = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"

OVERVIEW: Final = """\
Which e-mails a user gets, chosen by the user, per organization. Only explicit choices are stored; every answer is resolved,
with defaults filled in. Each change is kept for ever as an event that says who made it, when and from where.

Every response carries `X-Request-Id`. Errors have one shape: a stable `code`, a `message` for people, and `details` where a
field is at fault. A path that is not described here answers 404 `NOT_FOUND`; a method that its path does not know, 405
`METHOD_NOT_ALLOWED` with `Allow`.
"""

TAGS: Final[list[Json]] = [
    {"name": "Preferences", "description": "A user's own notification preferences, and their history."},
    {"name": "Operations", "description": "For those who run the service."},
]

SECURITY_SCHEMES: Final[Json] = {
    "clerkJWT": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A Clerk session token of a signed-in user. Preferences are those of the user in the token's "
        "active organization; a token without one has a scope of its own. API keys are refused.",
    }
}

ULID: Final = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_ULID: Final[Json] = {"type": "string", "pattern": ULID}

ERROR_SCHEMA: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["success", "error"],
    "properties": {
        "success": {"const": False},
        "error": {
            "type": "object",
            "additionalProperties": False,
            "required": ["code", "message", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "Stable; safe to branch on.", "enum": sorted(STATUS)},
                "message": {"type": "string", "description": "For people; may change."},
                "details": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Where a field is at fault: its dotted path, and what is wrong with it.",
                },
                "request_id": {**_ULID, "description": "The one in `X-Request-Id`."},
            },
        },
    },
}

_REQUEST_ID: Final[Json] = {
    "X-Request-Id": {
        "description": "ULID of this request; in the log, in the error and in every event that the request recorded.",
        "required": True,
        "schema": _ULID,
    }
}
_RETRY_AFTER: Final[Json] = {
    "Retry-After": {"description": "Whole seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_ETAG: Final[Json] = {
    "ETag": {
        "description": "Strong entity tag of this state.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
    }
}
_LINKS: Final[Json] = {
    "changeThisState": {
        "operationId": "changeMyNotificationPreferences",
        "parameters": {"If-Match": "$response.header.ETag"},
        "description": "Change this state, and no other.",
    },
    "readIfChanged": {
        "operationId": "getMyNotificationPreferences",
        "parameters": {"If-None-Match": "$response.header.ETag"},
        "description": "Read again, if it has changed.",
    },
}
_EXTRA_HEADERS: Final[dict[int, Json]] = {
    401: {
        "WWW-Authenticate": {
            "description": "`Bearer`, with `error` where a token was sent.",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    405: {"Allow": {"description": "Methods of this path.", "required": True, "schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
_WHEN: Final[dict[type[ServiceError], str]] = {
    MalformedInput: "The body is not JSON.",
    Unauthenticated: "No credentials, or none that are valid.",
    UserRequired: "A valid API key; only a user's session may call.",
    PreconditionFailed: "The state has moved on from the one that `If-Match` names; nothing was changed.",
    PayloadTooLarge: "The body is larger than 16 KiB.",
    PRECEDENCE[0]: "A channel or toggle that does not exist.",
    PRECEDENCE[1]: "A toggle that nobody can change.",
    ValidationFailed: "A value of the wrong type.",
    RateLimited: "Too many changes of this user.",
    Unforeseen: "Something went wrong that nobody foresaw. The log knows it by its request id.",
    Unavailable: "The service can not answer at the moment. It is safe to try again.",
    MethodNotAllowed: "The path does not know this method.",
    NotFound: "No such path.",
}
_DETAILS: Final[dict[type[ServiceError], Json]] = {
    PRECEDENCE[0]: {"email.product_news": "unknown toggle"},
    PRECEDENCE[1]: {"email.security_alerts": "cannot be changed"},
    ValidationFailed: {"email.product_updates": "must be a boolean"},
}


def document(app: FastAPI) -> Json:
    """The OpenAPI document of the application."""
    document = get_openapi(title=app.title, version=app.version, description=OVERVIEW, tags=TAGS, routes=app.routes)
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    components.setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    # No operation's own, since no operation is reached.
    components["responses"] = {error.__name__: _failure(error) for error in (NotFound, MethodNotAllowed)}
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
            200: _success("The resolved preferences.", _resolved_schema(catalogue), example, _ETAG, _LINKS),
            304: {"description": "Still the state that `If-None-Match` names.", "headers": {**_REQUEST_ID, **_ETAG}},
            **_failures(Unauthenticated, UserRequired, Unavailable),
        },
        "openapi_extra": {
            "security": [{"clerkJWT": []}],
            "parameters": [_conditional("If-None-Match", "Answer 304 if this is still the state's `ETag`.")],
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
            200: _success(
                "The resolved preferences after the change.", _resolved_schema(catalogue), example, _ETAG, _LINKS
            ),
            **_failures(
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
                _conditional("If-Match", "Change only if this is still the state's `ETag`; else answer 412.")
            ],
            "requestBody": {
                "required": False,
                "content": {
                    "application/json": {
                        "schema": _change_schema(catalogue),
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
    wrong = "A wrong `limit`, or a `cursor` that is not from this history."
    return {
        "operation_id": "getMyNotificationHistory",
        "summary": "Read the history of my notification preferences",
        "description": "What was changed, when, from where and by whom, newest first. The history of the user in the "
        "token's active organization; it is never shortened.",
        "tags": ["Preferences"],
        "responses": {
            200: {
                "description": "A page of the history.",
                "headers": _REQUEST_ID,
                "content": {"application/json": {"example": example}},
                "links": {
                    "nextPage": {
                        "operationId": "getMyNotificationHistory",
                        "parameters": {"cursor": "$response.body#/meta/next_cursor"},
                        "description": "As long as `next_cursor` is not null.",
                    }
                },
            },
            **_failures(Unauthenticated, UserRequired, Unavailable),
            422: _failure(ValidationFailed, wrong, {"limit": "must be less than or equal to 200"}),
        },
        "openapi_extra": {"security": [{"clerkJWT": []}]},
    }


def health() -> Json:
    return {
        "operation_id": "getHealth",
        "summary": "Does the process live?",
        "description": "Answers as long as the process can answer at all. Depends on nothing else.",
        "tags": ["Operations"],
        "responses": {200: _success("It does.", _findings_schema("process"), {"process": "ok"}), **_failures()},
    }


def readiness() -> Json:
    example = {"database": "ok", "migrations": "ok", "keys": "ok"}
    missing = "Something that the service depends on is missing; `details` says what."
    failures = _failures() | {503: _failure(Unavailable, missing, {"database": "can't be reached"})}
    return {
        "operation_id": "getReadiness",
        "summary": "Can the service serve?",
        "description": "Looks at the database, at its migrations, and at the keys that tokens are verified with.",
        "tags": ["Operations"],
        "responses": {200: _success("It can.", _findings_schema(*example), example), **failures},
    }


def _change_schema(catalogue: Catalogue) -> Json:
    """A strict partial: any subset of the toggles, booleans only, nothing else."""
    return _object(
        {
            channel.name: _object({toggle.name: {"type": "boolean"} for toggle in channel.visible})
            for channel in catalogue.channels
        }
    )


def _resolved_schema(catalogue: Catalogue) -> Json:
    channels = {
        channel.name: _object(
            {
                toggle.name: {"type": "boolean", "description": f"Default: {str(toggle.default).lower()}."}
                for toggle in channel.visible
            },
            complete=True,
        )
        for channel in catalogue.channels
    }
    return _object(channels, complete=True)


def _findings_schema(*names: str) -> Json:
    return _object({name: {"const": "ok"} for name in names}, complete=True)


def _object(properties: Json, *, complete: bool = False) -> Json:
    schema: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": [*properties]} if complete else schema


def _success(
    description: str, data: Json, example: Any, headers: Json | None = None, links: Json | None = None
) -> Json:
    schema = _object({"success": {"const": True}, "data": data}, complete=True)
    content = {"application/json": {"schema": schema, "example": {"success": True, "data": example}}}
    response = {"description": description, "headers": {**_REQUEST_ID, **(headers or {})}, "content": content}
    return {**response, "links": links} if links else response


def _failures(*errors: type[ServiceError]) -> dict[int, Json]:
    """The responses of these errors, by status; several errors of one status are one response with several examples.

    What nobody foresaw can happen to each operation, so it is always among them.
    """
    responses: dict[int, Json] = {500: _failure(Unforeseen)}
    for error in errors:
        response = _failure(error)
        known = responses.setdefault(STATUS[error.code], response)
        if known is not response:
            known["description"] += f" {response['description']}"
            known["content"]["application/json"]["examples"] |= response["content"]["application/json"]["examples"]
    return dict(sorted(responses.items()))


def _failure(error: type[ServiceError], when: str | None = None, details: Json | None = None) -> Json:
    body: Json = {"code": error.code, "message": error.message, "request_id": REQUEST_ID_EXAMPLE}
    if details := details or _DETAILS.get(error):
        body["details"] = details
    return {
        "description": when or _WHEN[error],
        "headers": {**_REQUEST_ID, **_EXTRA_HEADERS.get(STATUS[error.code], {})},
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {error.code: {"value": {"success": False, "error": body}}},
            }
        },
    }


def _conditional(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
