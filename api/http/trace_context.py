"""W3C Trace Context (https://www.w3.org/TR/trace-context/): the place of a request in a trace, and the spans that record requests."""

import re
from collections.abc import Iterable
from typing import Final, Protocol

TRACEPARENT: Final = "traceparent"
"""The name of the value in the ASGI scope of a request. The scope of a request without a valid header doesn't have it."""

_HEADER: Final = b"traceparent"
_form: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
).fullmatch


def received(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The `traceparent` of a request, in the form of version 00. None if the request has none, a wrong one, or several.

    A later version may have further fields. Its first four fields are taken, and the rest is left out, as the specification asks (section
    3.2.4). Of the flags, only `sampled` is kept, because version 00 has no other one.
    """
    found: bytes | None = None
    for name, value in headers:
        if name == _HEADER:
            if found is not None:
                return None
            found = value
    return None if found is None else _read(found)


def _read(value: bytes) -> str | None:
    parts = _form(value.strip(b" \t"))
    if parts is None or (parts[1] == b"00" and parts[4] is not None):
        return None
    return f"00-{parts[2].decode()}-0{int(parts[3], 16) & 1}"


class RequestSpan(Protocol):
    """A request that a tracing system will be told about."""

    def end(self, route: str, status: int) -> None:
        """`route` is a template, empty if there is no route. `status` is 0 if the request was not answered."""
        ...


class RequestTracing(Protocol):
    def begin(self, request_id: str, method: str, traceparent: str | None) -> RequestSpan | None:
        """None if this request is not sampled, as most aren't."""
        ...
