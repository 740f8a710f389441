"""One log line for each request, in the form of all other log lines: JSON, on standard error."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final

import orjson

_FORM: Final = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


class RequestLog:
    """Written by hand: the chain of processors, through which all other lines go, takes five times as long, and every GET and PATCH pays
    for this line.

    `level` is that of the whole log. The `probed` paths are requested every few seconds. Their lines would bury the others, so they are
    logged at `debug`, all others at `info`.
    """

    def __init__(self, level: str, *, probed: AbstractSet[str], write: Callable[[bytes], None]) -> None:
        self._writes = level in ("debug", "info")
        self._writes_probes = level == "debug"
        self._probed = frozenset(probed)
        self._write = write

    def __call__(
        self, request_id: str, method: str, path: str, status: int, seconds: float, traceparent: str | None = None
    ) -> None:
        if not self._writes:
            return
        is_probe = path in self._probed
        if is_probe and not self._writes_probes:
            return
        line = {
            "timestamp": datetime.now(UTC),
            "level": "debug" if is_probe else "info",
            "event": "request",
            "request_id": request_id,
            "method": method,
            "path": path,
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
        }
        if traceparent is not None:
            line["traceparent"] = traceparent
        self._write(orjson.dumps(line, option=_FORM))
