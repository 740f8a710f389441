"""A request that was never complete, so it has no route. It is answered, counted and logged like all others."""

from typing import Final

from starlette.types import Scope

from domain.errors import ServiceError

REFUSAL: Final = "preferences.refusal"
"""The key in an ASGI scope under which the error is stored that becomes the answer."""

UNKNOWN_METHOD: Final = "_OTHER"
"""The name that OpenTelemetry's conventions use."""


def as_refused(common: Scope, error: ServiceError, origin: list[tuple[bytes, bytes]]) -> Scope:
    """The scope of the last request of a connection. Its answer is `error`. `common`: the part that all requests share.
    `origin`: its header of this name, without which a page could not read the answer; none if it hasn't come."""
    return {
        **common,
        "method": UNKNOWN_METHOD,
        "http_version": "1.1",
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        "headers": origin,
        REFUSAL: error,
    }
