"""Translates our errors and those of the web framework to HTTP. This is the only place that does."""

import re
from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from api.http.answer import JSON, Answer, failure
from api.http.request_context import REQUEST_ID
from api.http.route import Route
from domain import errors

STATUS: Final[Mapping[str, int]] = {
    "INVALID_INPUT": 400,
    "UNAUTHORIZED": 401,
    "USER_REQUIRED": 403,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "BEYOND_THE_END": 409,
    "PRECONDITION_FAILED": 412,
    "PAYLOAD_TOO_LARGE": 413,
    "UNKNOWN_NOTIFICATION_KEY": 422,
    "IMMUTABLE_NOTIFICATION_KEY": 422,
    "VALIDATION_FAILED": 422,
    "RATE_LIMITED": 429,
    "HEADERS_TOO_LARGE": 431,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}

FOREIGN: Final = "an answer was held back: what was found is not the reader's"
"""This log line needs an operator at once: an index or a stored row is wrong."""

log = structlog.get_logger("http")


class PayloadTooLarge(errors.ServiceError):
    code = "PAYLOAD_TOO_LARGE"
    message = "request body too large"


class MalformedRequest(errors.ServiceError):
    """The request is not HTTP, or its body doesn't end as announced."""

    code = "INVALID_INPUT"
    message = "malformed request"


class RequestTimeout(errors.ServiceError):
    """The client took too long to send its request."""

    code = "REQUEST_TIMEOUT"
    message = "request took too long to arrive"


class HeadersTooLarge(errors.ServiceError):
    code = "HEADERS_TOO_LARGE"
    message = "request headers too large"


class MethodNotAllowed(errors.ServiceError):
    """`allow`: the methods that the path knows."""

    code = "METHOD_NOT_ALLOWED"
    message = "method not allowed"

    def __init__(self, allow: list[str]) -> None:
        super().__init__()
        self.allow = allow


class Unforeseen(errors.ServiceError):
    """The answer to an unexpected error of this service. It says nothing about the error itself."""

    code = "INTERNAL"
    message = "internal error"


def refusal(error: errors.ServiceError, request_id: str) -> Answer:
    """The answer to a refused request. The reason goes to the service's log only."""
    note(error, request_id)
    return answer(error, request_id)


def note(error: errors.ServiceError, request_id: str) -> None:
    """Write the reason of a refusal to the service's log."""
    if isinstance(error, errors.ForeignEvent):
        log.critical(FOREIGN, reason=error.reason, request_id=request_id)
    elif error.reason:
        write = log.warning if STATUS[error.code] >= 500 else log.info
        write("refused", code=error.code, reason=error.reason, request_id=request_id)


def hung_up() -> Answer:
    """The answer for a client that closed the connection before its request was complete. It is only logged, with nginx's status for it."""
    return Answer(499, b"", ())


def answer(error: errors.ServiceError, request_id: str) -> Answer:
    body = failure(error.code, error.message, request_id, error.details)
    return Answer(STATUS[error.code], body, [JSON, *headers(error)])


def headers(error: errors.ServiceError) -> list[tuple[bytes, bytes]]:
    """The headers that an error has in every form of its answer."""
    match error:
        case errors.Unauthenticated(token_sent=True):
            return [(b"www-authenticate", b'Bearer error="invalid_token"')]
        case errors.Unauthenticated():
            return [(b"www-authenticate", b"Bearer")]
        case errors.RateLimited() | errors.Unavailable():
            return [(b"retry-after", b"%d" % error.retry_after)]
        case MethodNotAllowed():
            return [(b"allow", ", ".join(error.allow).encode())]
        case PayloadTooLarge() | MalformedRequest() | RequestTimeout() | HeadersTooLarge():
            # The rest of the request is not read, so the connection can't be used again.
            return [(b"connection", b"close")]
        case _:
            return []


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the envelope."""

    async def refused(request: Request, error: Exception) -> Any:
        assert isinstance(error, errors.ServiceError)
        return refusal(error, request.scope[REQUEST_ID])

    async def invalid(request: Request, error: Exception) -> Any:
        assert isinstance(error, RequestValidationError)
        details = {str(fault["loc"][-1]): _phrase(fault) for fault in error.errors()}
        return answer(errors.ValidationFailed(details=details), request.scope[REQUEST_ID])

    async def unrouted(request: Request, error: Exception) -> Any:
        assert isinstance(error, HTTPException)
        own = MethodNotAllowed(_methods(app, request)) if error.status_code == 405 else errors.NotFound()
        return answer(own, request.scope[REQUEST_ID])

    async def gone(_request: Request, _: Exception) -> Any:
        return hung_up()

    async def unforeseen(request: Request, _: Exception) -> Any:
        # After this answer the framework raises the error again, and `RequestContext` logs it.
        return answer(Unforeseen(), request.scope[REQUEST_ID])

    app.add_exception_handler(Exception, unforeseen)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(errors.ServiceError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unrouted)


def _phrase(fault: Mapping[str, str]) -> str:
    """Pydantic's sentence in the style of the product: lower case, and it says what the value must be."""
    if fault["type"].startswith("int_"):  # Pydantic has several long sentences for this.
        return "must be an integer"
    return re.sub("^(Input|String) should ", "must ", fault["msg"])


def _methods(app: FastAPI, request: Request) -> list[str]:
    """All methods of the path. The framework names only those of the first matching route, and there may be several routes."""
    fitting = [route for route in app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in fitting if isinstance(route, Route) for method in route.answered})
