"""The outermost layer: every request gets an id, every response carries it, nothing gets past unanswered or unlogged."""

from collections.abc import Callable
from time import perf_counter
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answer import Answer, failure

REQUEST_ID: Final = "request_id"
# Under /v1 every answer is somebody's own: a shared cache must not keep it, a browser must ask again before it uses it.
PRIVATE: Final = (b"cache-control", b"private, no-cache")

PROBED: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestContext:
    """Puts a ULID under `request_id` into the scope, and into the header `X-Request-Id` of whatever is answered."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id
        # Bound here, after logging was set up: an unbound logger is bound anew for each line, also for those not written.
        self._log = structlog.get_logger("http").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = self._new_id()
        started = perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode())]
                if scope["path"].startswith("/v1") and not any(name == b"cache-control" for name, _ in headers):
                    headers.append(PRIVATE)
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # noqa: BLE001 - the one place where an error that nobody foresaw becomes an answer
            self._log.exception("unforeseen error", request_id=request_id, method=scope["method"], path=scope["path"])
            if not status:
                answer = Answer(500, failure("INTERNAL", "internal error", request_id))
                await answer(scope, receive, send_with_id)
        finally:
            # Probes and scrapes come every few seconds, and would bury what somebody looks for.
            write = self._log.debug if scope["path"] in PROBED else self._log.info
            write(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round((perf_counter() - started) * 1000, 2),
            )
