"""Parts of the descriptions of operations: headers, responses, errors."""

from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field

from api.http.errors import STATUS, HeadersTooLarge, MethodNotAllowed, PayloadTooLarge, RequestTimeout, Unforeseen
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
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
ULID_SCHEMA: Final[Json] = {"type": "string", "pattern": ULID}

REQUEST_ID: Final[Json] = {
    "X-Request-Id": {
        "description": "ULID of this request; in the log, in the error and in every event that the request recorded.",
        "required": True,
        "schema": ULID_SCHEMA,
    }
}
_RETRY_AFTER: Final[Json] = {
    "Retry-After": {"description": "Whole seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
ETAG: Final[Json] = {
    "ETag": {
        "description": (
            "Entity tag of this state. The service sends a strong one; a proxy that compresses the answer may make it weak, or add "
            "a suffix such as `-gzip`. `If-Match` and `If-None-Match` take it as it was received."
        ),
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[^"]+"$'},
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
_LAST_LINE: Final[Json] = {
    "type": "object",
    "description": "The last line of lines that were asked for with `trailer=true`. Without it they were cut off.",
    "required": ["end", "lines"],
    "properties": {
        "end": {"type": "boolean", "description": "Always true. No other line has this key."},
        "lines": {"type": "integer", "minimum": 0, "description": "How many there are before this one."},
        "next_after": {
            "type": "integer",
            "minimum": 0,
            "description": "Of the feed: what `X-Next-After` says, the position to go on from.",
        },
        "last_event_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "Of the audit log: what `X-Last-Event-At` says; null before anything was taken in.",
        },
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
    PRECEDENCE[1]: "A mandatory toggle, which can't be changed.",
    ValidationFailed: "A value of the wrong type.",
    RateLimited: "Too many changes of this user.",
    Unforeseen: "An unexpected error. The log line has the same request id.",
    Unavailable: "The service can not answer at the moment. It is safe to try again.",
    RequestTimeout: "The request took too long to arrive.",
    HeadersTooLarge: "Path, query and headers together are larger than the service allows.",
    MethodNotAllowed: "The path does not know this method.",
    NotFound: "No such path.",
}
_DETAILS: Final[dict[type[ServiceError], Json]] = {
    PRECEDENCE[0]: {"email.product_news": "unknown toggle"},
    PRECEDENCE[1]: {"email.security_alerts": "cannot be changed"},
    ValidationFailed: {"email.product_updates": "must be a boolean"},
    BeyondTheEnd: {"after": "the log ends at position 406"},
}

# For operations without credentials. It must be explicit: tools assume that an operation without `security` was forgotten.
PUBLIC: Final[Json] = {"security": []}
ANOTHER_METHOD: Final[dict[int, Json]] = {405: {"$ref": "#/components/responses/MethodNotAllowed"}}
_WHILE_IT_IS_READ: Final[dict[int, Json]] = {
    408: {"$ref": "#/components/responses/RequestTimeout"},
    431: {"$ref": "#/components/responses/HeadersTooLarge"},
}


def readers(scope: str) -> Json:
    """The security of an operation that sessions and API keys with this scope may call.

    OpenAPI 3.1 allows the scope inside `security`. Tools that know only 3.0 refuse it, because there only OAuth has scopes.
    """
    return {"security": [{"clerkJWT": []}, {"apiKey": []}], "x-scope": scope}


SourceName: TypeAlias = Literal["dashboard", "api", "one_click", "link", "import", "admin", "system"]
"""`Source` as a type that the framework describes and checks. A test checks that both have the same values."""


class SuccessAnswer(BaseModel):
    success: bool = Field(description="true; an error has false.")


class Who(BaseModel):
    kind: Literal["customer", "platform"] = Field(description="`platform` is our staff acting in the user's name.")
    label: str = Field(
        description="The user's id; staff appear under one generic label, and so does the bearer of an unsubscribe link."
    )


def choice_filters(catalogue: Catalogue) -> dict[str, Json]:
    """The query values `channel` and `toggle` of endpoints that read the log.

    They have examples instead of a closed list, because the log has former channels and toggles, too.
    """
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


def complete(properties: Json, optional: Json | None = None) -> Json:
    """An object that has all `properties`, and may have the `optional` ones."""
    return {"type": "object", "required": [*properties], "properties": properties | (optional or {})}


def next_page(operation: str) -> Json:
    """The link of a page to the next one, which the same operation reads."""
    return {
        "nextPage": {
            "operationId": operation,
            "parameters": {"cursor": "$response.body#/meta/next_cursor"},
            "description": "As long as `next_cursor` is not null.",
        }
    }


def reference(name: str) -> Json:
    """A reference to a schema of `api/documentation/components.py`."""
    return {"$ref": f"#/components/schemas/{name}"}


def success(
    description: str, answer: str, example: Any, headers: Json | None = None, links: Json | None = None
) -> Json:
    """The response whose body is the component `answer`, with `example` as its data."""
    content = {"application/json": {"schema": reference(answer), "example": {"success": True, "data": example}}}
    response = {"description": description, "headers": {**REQUEST_ID, **(headers or {})}, "content": content}
    return {**response, "links": links} if links else response


def lines(of: str, example: str) -> Json:
    """The media type of NDJSON, in which each line is an `of`. OpenAPI 3.1 can only describe the whole body, which is text."""
    text = {
        "type": "string",
        "description": f"One `{of}` in JSON a line, each with a line feed at its end; `trailer=true` adds a last line.",
    }
    items = {"x-item-schema": reference(of), "x-last-item-schema": _LAST_LINE}
    return {"schema": text, **items, "example": example}


def failures(*errors: type[ServiceError]) -> dict[int, Json]:
    """The responses of these errors, by status. Several errors of one status become one response with several examples.

    `Unforeseen` and what can happen while a request is read are always among them, because every operation can answer them.
    """
    responses: dict[int, Json] = {**_WHILE_IT_IS_READ, 500: failure(Unforeseen)}
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
                "schema": reference("ErrorAnswer"),
                "examples": {error.code: {"value": {"success": False, "error": body}}},
            }
        },
    }


def conditional(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
