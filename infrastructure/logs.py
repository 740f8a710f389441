"""Logs: JSON, one object a line, on standard error. They never contain a token, a key, or a body."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import BinaryIO, Final, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor

_SHARED: Final[list[Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

_LEVELS: Final = ("debug", "info", "warning", "error")

_COUNTED: Final = ("warning", "error", "critical")
_lines: Final[Counter[tuple[str, ...]]] = Counter()


def lines() -> Mapping[tuple[str, ...], int]:
    """How often this process has logged each level and message, from level `warning` on. The messages of libraries contain values, so
    the name of the logger stands for them. Each level is there from the start, with an empty message: monitoring notices how much a
    number has grown, and not that a number has appeared."""
    return dict.fromkeys([(level, "") for level in _COUNTED], 0) | _lines


class StandardError:
    """Writes each line at once. If a line can't be written, because the disk is full or the reader is gone, only the line is lost: no
    request and no follower fails because of its log.
    """

    def __init__(self) -> None:
        self._descriptor = sys.stderr.fileno()

    def write(self, line: bytes) -> None:
        try:  # noqa: SIM105 - `suppress` takes 0.4 µs, for each line
            os.write(self._descriptor, line)
        except OSError:
            pass

    def flush(self) -> None:
        """Does nothing, because no line is held back."""


def configure(level: str) -> None:
    """Set up structlog, and bring the lines of other libraries into the same form."""
    structlog.configure(
        processors=[*_SHARED, _count, _first_things_first, structlog.processors.JSONRenderer(serializer=_dumps_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # structlog only writes lines to the file and flushes it.
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", StandardError())),
        cache_logger_on_first_use=True,
    )
    _take_over(level)


def configure_command(level: str) -> None:
    """The same for a command, whose results go to standard output. It writes few lines, to the standard error of that moment."""
    structlog.configure(
        processors=[*_SHARED, _first_things_first, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    if not logging.getLogger().handlers:  # no other code has set up the logging of libraries
        _take_over(level)


def level_of(environment: Mapping[str, str]) -> str:
    """LOG_LEVEL before the settings are read. Reading the settings reports a wrong level."""
    level = environment.get("LOG_LEVEL", "").lower()
    return level if level in _LEVELS else "info"


def _take_over(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED, _count],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _first_things_first,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Uvicorn's own lines on starting and stopping repeat ours; psycopg's pool logs each failed attempt.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def _count(_: object, __: str, event: EventDict) -> EventDict:
    if event["level"] in _COUNTED:
        _lines[event["level"], event.get("logger", event["event"])] += 1
    return event


def _first_things_first(_: object, __: str, event: EventDict) -> EventDict:
    head = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**head, **event}


def _dumps_bytes(event: EventDict, **_: object) -> bytes:
    return orjson.dumps(event, default=str)


def _dumps(event: EventDict, **_: object) -> str:
    return _dumps_bytes(event).decode()
