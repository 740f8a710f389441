"""Which pages a browser lets read our answers: CORS (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from starlette.types import Scope

from api.http.answer import Answer

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

METHODS: Final = b"GET, HEAD, PATCH, POST"
REQUEST_HEADERS: Final = b"Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, Cache-Control"
"""`Cache-Control` is what polyfills of EventSource send."""
ANSWER_HEADERS: Final = (
    b"ETag, X-Request-Id, Retry-After, X-Next-After, X-Last-Event-At, Content-Disposition, WWW-Authenticate, Allow"
)
PREFLIGHT_SECONDS: Final = b"7200"
"""For which a browser needn't ask again. Chromium keeps no answer for longer."""

# Said to everybody, or a cache would hand an answer for one page to another one.
VARY: Final = (b"vary", b"Origin")


class CrossOrigin:
    """Pages of `origins` may call everything, and read every answer. To all others, it is as if this weren't there.

    A token is sent by the page itself, in a header. Cookies have no meaning here, so none are asked for.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        exposed = (b"access-control-expose-headers", ANSWER_HEADERS)
        self._headers: dict[bytes, Headers] = {
            origin.encode(): (VARY, (b"access-control-allow-origin", origin.encode()), exposed) for origin in origins
        }
        self._strangers: Headers = (VARY,)

    def headers(self, scope: Scope) -> Headers:
        """What an answer to this request says, beside all else."""
        for name, value in scope["headers"]:
            if name == b"origin":
                return self._headers.get(value, self._strangers)
        return self._strangers

    def preflight(self, scope: Scope, headers: Headers) -> Answer | None:
        """The answer to a page of ours that asks whether it may ask. Whether there is such a path makes no difference."""
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
