"""CORS: the pages that a browser allows to read our answers (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from starlette.types import Scope

from api.http.answer import Answer

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

METHODS: Final = b"GET, HEAD, PATCH, POST"
REQUEST_HEADERS: Final = (
    b"Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, Cache-Control, Traceparent, Tracestate"
)
"""Polyfills of EventSource send `Cache-Control`. Pages with a tracing library send the last two."""
ANSWER_HEADERS: Final = (
    b"ETag, X-Request-Id, Retry-After, X-Next-After, X-Last-Event-At, Content-Disposition, WWW-Authenticate, Allow"
)
PREFLIGHT_SECONDS: Final = b"7200"
"""Seconds for which a browser may remember a preflight answer. Chromium keeps none longer than this."""

# Every answer has it. Otherwise a cache would give the answer for one page to another page.
VARY: Final = (b"vary", b"Origin")


class CrossOrigin:
    """Pages of `origins` may call every path and read every answer. All other pages get no CORS headers.

    The page sends its token in a header. Cookies have no meaning here, so credentials are not allowed.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        exposed = (b"access-control-expose-headers", ANSWER_HEADERS)
        self._headers: dict[bytes, Headers] = {
            origin.encode(): (VARY, (b"access-control-allow-origin", origin.encode()), exposed) for origin in origins
        }
        self._strangers: Headers = (VARY,)

    def headers(self, scope: Scope) -> Headers:
        """The headers that CORS adds to the answer to this request."""
        for name, value in scope["headers"]:
            if name == b"origin":
                return self._headers.get(value, self._strangers)
        return self._strangers

    def preflight(self, scope: Scope, headers: Headers) -> Answer | None:
        """The answer to a preflight request of an allowed page; otherwise None. It doesn't depend on the path."""
        if headers is self._strangers or all(name != b"access-control-request-method" for name, _ in scope["headers"]):
            return None
        return Answer(
            204,
            b"",
            (
                (b"access-control-allow-methods", METHODS),
                (b"access-control-allow-headers", REQUEST_HEADERS),
                (b"access-control-max-age", PREFLIGHT_SECONDS),
            ),
        )
