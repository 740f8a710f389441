"""The parts that operations are described with: schemas made of the catalogue, headers, responses, errors."""

from typing import Any, Final

from api.errors import STATUS, MethodNotAllowed, PayloadTooLarge, Unforeseen
from domain.catalogue import Catalogue
from domain.change import PRECEDENCE
from domain.errors import (
    BeyondTheEnd,
    MalformedInput,
    MissingScope,
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

REQUEST_ID: Final[Json] = {
    "X-Request-Id": {
        "description": "ULID of this request; in the log, in the error and in every event that the request recorded.",
        "required": True,
        "schema": _ULID,
    }
}
_RETRY_AFTER: Final[Json] = {
    "Retry-After": {"description": "Whole seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
ETAG: Final[Json] = {
    "ETag": {
        "description": "Strong entity tag of this state.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
    }
}
LINKS: Final[Json] = {
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
    MissingScope: "A user's session or an API key without the scope that this needs, or without an organization.",
    BeyondTheEnd: "The log ends before the position that was asked from. It has lost its end in a failover, or is another one.",
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
    BeyondTheEnd: {"after": "the log ends at position 406"},
}


def change_schema(catalogue: Catalogue) -> Json:
    """A strict partial: any subset of the toggles, booleans only, nothing else."""
    return _object(
        {
            channel.name: _object({toggle.name: {"type": "boolean"} for toggle in channel.visible})
            for channel in catalogue.channels
        }
    )


def resolved_schema(catalogue: Catalogue) -> Json:
    channels = {
        channel.name: _object(
            {
                toggle.name: {"type": "boolean", "description": f"Default: {str(toggle.default).lower()}."}
                for toggle in channel.visible
            },
            complete=True,
        )
        for channel in catalogue.channels
        if any(channel.visible)
    }
    return _object(channels, complete=True)


def choice_filters(catalogue: Catalogue) -> dict[str, Json]:
    """The query values `channel` and `toggle` of what reads the log: examples, and no closed list, as it has former ones too."""
    channels = [channel.name for channel in catalogue.channels]
    toggles = sorted({toggle.name for channel in catalogue.channels for toggle in channel.visible})
    return {
        "channel": {
            "type": "string",
            "examples": channels,
            "description": "Only choices in this channel, which the catalogue has or once had.",
        },
        "toggle": {
            "type": "string",
            "examples": toggles,
            "description": "Only choices of toggles with this name, which the catalogue has or once had.",
        },
    }


def findings_schema(*names: str) -> Json:
    return _object({name: {"const": "ok"} for name in names}, complete=True)


def readiness_schema(*names: str) -> Json:
    """The findings, and whoever follows the log, as far as they could be asked in time."""
    schema = findings_schema(*names)
    count: Json = {"type": "integer", "minimum": 0}
    follower = _object(
        {
            "name": {"type": "string"},
            "state": {"enum": ["running", "not running", "paused", "failed"]},
            "position": {**count, "description": "Of the last event that it has handled."},
            "lag_events": {**count, "description": "How many it has yet to handle; exact up to 10,000."},
            "lag_seconds": {
                "type": "number",
                "minimum": 0,
                "description": "How long ago the first of them was recorded.",
            },
        },
        complete=True,
    )
    follower["properties"]["failed_position"] = {**count, "description": "Of the event that it can't handle."}
    schema["properties"]["followers"] = {"type": "array", "items": follower}
    return schema


def _object(properties: Json, *, complete: bool = False) -> Json:
    schema: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": [*properties]} if complete else schema


def success(description: str, data: Json, example: Any, headers: Json | None = None, links: Json | None = None) -> Json:
    schema = _object({"success": {"const": True}, "data": data}, complete=True)
    content = {"application/json": {"schema": schema, "example": {"success": True, "data": example}}}
    response = {"description": description, "headers": {**REQUEST_ID, **(headers or {})}, "content": content}
    return {**response, "links": links} if links else response


def failures(*errors: type[ServiceError]) -> dict[int, Json]:
    """The responses of these errors, by status; several errors of one status are one response with several examples.

    What nobody foresaw can happen to each operation, so it is always among them.
    """
    responses: dict[int, Json] = {500: failure(Unforeseen)}
    for error in errors:
        response = failure(error)
        known = responses.setdefault(STATUS[error.code], response)
        if known is not response:
            known["description"] += f" {response['description']}"
            known["content"]["application/json"]["examples"] |= response["content"]["application/json"]["examples"]
    return dict(sorted(responses.items()))


def failure(error: type[ServiceError], when: str | None = None, details: Json | None = None) -> Json:
    body: Json = {"code": error.code, "message": error.message, "request_id": REQUEST_ID_EXAMPLE}
    if details := details or _DETAILS.get(error):
        body["details"] = details
    return {
        "description": when or _WHEN[error],
        "headers": {**REQUEST_ID, **_EXTRA_HEADERS.get(STATUS[error.code], {})},
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {error.code: {"value": {"success": False, "error": body}}},
            }
        },
    }


def conditional(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
