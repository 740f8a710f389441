"""The outermost layer: every request gets an id, every response carries it, nothing gets past unanswered or unlogged."""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Final, TypeAlias

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import request_durations
from api.http.answer import AT_ONCE, Answer, AnswerAtOnce, Header, failure
from api.http.cross_origin import CrossOrigin, Headers
from api.http.trace_context import TRACEPARENT, RequestTracing, received

REQUEST_ID: Final = "request_id"
# Under /v1 every answer belongs to one caller: a shared cache must not keep it, a browser must ask again before it uses it.
PRIVATE: Final = (b"cache-control", b"private, no-cache")

PROBED: Final = frozenset({"/healthz", "/readyz", "/metrics"})

LINKS: Final = "/unsubscribe/"
"""A path with this in it ends with a token, which lets its bearer unsubscribe the person. So the log has a template in its place."""

LogRequest: TypeAlias = Callable[[str, str, str, int, float, str | None], None]
"""Notes that a request was answered: its id, method and path, the status, how many seconds it took, and its `traceparent`."""

log = structlog.get_logger("http")


class RequestContext:
    """Puts a ULID under `request_id` into the scope, and into the header `X-Request-Id` of whatever is answered.

    The scope also gets the `traceparent` of the request, if it has a valid one. `tracing` is given only if spans are recorded.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        new_id: Callable[[], str],
        log_request: LogRequest,
        cross_origin: CrossOrigin | None = None,
        tracing: RequestTracing | None = None,
    ) -> None:
        self._app = app
        self._cross_origin = cross_origin
        self._new_id = new_id
        self._log_request = log_request
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = self._new_id()
        traceparent = received(scope["headers"])
        if traceparent is not None:
            scope[TRACEPARENT] = traceparent
        span = None if self._tracing is None else self._tracing.begin(request_id, scope["method"], traceparent)
        started = perf_counter()
        path: str = scope["path"]
        status = 0
        app = self._app
        for_pages: Headers = ()
        if self._cross_origin is not None:
            for_pages = self._cross_origin.headers(scope)
            if scope["method"] == "OPTIONS":
                app = self._cross_origin.preflight(scope, for_pages) or app

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed(message["headers"], request_id, for_pages, path)
            await send(message)

        at_once: AnswerAtOnce | None = scope.get(AT_ONCE)
        if at_once is not None:

            def answer_with_id(its_status: int, headers: Sequence[Header], body: bytes) -> Awaitable[None]:
                nonlocal status
                status = its_status
                return at_once(its_status, _completed(headers, request_id, for_pages, path), body)

            # It must not refer to the scope, or both would stay in memory until the garbage collector runs.
            scope[AT_ONCE] = answer_with_id

        try:
            await app(scope, receive, send_with_id)
        except Exception:
            # The one place where an unexpected error becomes an answer.
            log.exception("unforeseen error", request_id=request_id, method=scope["method"], path=_logged(path))
            if not status:
                answer = Answer(500, failure("INTERNAL", "internal error", request_id))
                await answer(scope, receive, send_with_id)
        finally:
            seconds = perf_counter() - started
            # `LeanRoutes`, or the framework, has put the route there.
            route = getattr(scope.get("route"), "path_format", "")
            # Asked here and not in the function, because every request pays for this line.
            logged = _logged(path) if LINKS in path else path
            self._log_request(request_id, scope["method"], logged, status, seconds, traceparent)
            request_durations.observe(scope["method"], route, status, seconds)
            if span is not None:
                span.end(route, status)


def _completed(headers: Sequence[Header], request_id: str, for_pages: Headers, path: str) -> list[Header]:
    completed = [*headers, (b"x-request-id", request_id.encode()), *for_pages]
    # Most answers say so themselves, which is seen without looking at each of their headers.
    if PRIVATE not in headers and path.startswith("/v1") and not _says_who_may_keep_it(completed):
        completed.append(PRIVATE)
    return completed


def _says_who_may_keep_it(headers: list[Header]) -> bool:
    return any(name == b"cache-control" for name, _ in headers)


def _logged(path: str) -> str:
    if LINKS not in path:
        return path
    return f"{path.partition(LINKS)[0]}{LINKS}{{token}}"
