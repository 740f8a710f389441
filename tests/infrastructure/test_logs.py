"""The log: one JSON object a line, on standard error, and never the reason why something fails."""

import ast
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from unittest.mock import ANY

import pytest

from infrastructure.telemetry.request_log import RequestLog
from tests.support.events import TRACEPARENT

REQUEST = ("01JTBQH2FZ8K1RXC0WJ4Z9P3VM", "GET", "/v1/me/notifications", 200, 0.00123)
PROBE = ("01JTBQH2FZ8K1RXC0WJ4Z9P3VN", "GET", "/healthz", 200, 0.0001)

PROGRAM = """
import logging, structlog
from infrastructure import logs
from infrastructure.telemetry.request_log import RequestLog
logs.configure("info")
structlog.get_logger("house").info("started", process=7)
logging.getLogger("elsewhere").warning("look out")
RequestLog("info", probed=set(), write=logs.StandardError().write)("id", "GET", "/", 200, 0.5)
print("still here")
"""


COUNTING = """
import logging, structlog
from infrastructure import logs
logs.configure("info")
log = structlog.get_logger("house")
for _ in range(3):
    log.warning("look out", process=7)
log.info("started")
log.critical("help")
logging.getLogger("elsewhere").error("number %d", 5)
logging.getLogger("elsewhere").error("number %d", 6)
print(sorted(logs.lines().items()))
"""


def test_lines_that_somebody_should_read_are_counted_by_their_message() -> None:
    run = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, text=True, check=True)
    nothing = [((level, ""), 0) for level in ("critical", "error", "warning")]
    ours = [(("critical", "help"), 1), (("warning", "look out"), 3)]
    # A library's message can contain anything, so the library's name stands for it.
    assert ast.literal_eval(run.stdout) == sorted([*nothing, *ours, (("error", "elsewhere"), 2)])


def written(level: str, *requests: tuple[str, str, str, int, float]) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    log = RequestLog(level, probed={"/healthz"}, write=lines.append)
    for request in requests:
        log(*request)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    return [json.loads(line) for line in lines]


def test_a_request_is_a_line_that_says_what_was_answered_and_how_fast() -> None:
    [line] = written("info", REQUEST)
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=1)
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "01JTBQH2FZ8K1RXC0WJ4Z9P3VM",
        "method": "GET",
        "path": "/v1/me/notifications",
        "status": 200,
        "milliseconds": 1.23,
    }


def test_a_request_that_is_part_of_a_trace_says_so_in_its_line() -> None:
    lines: list[bytes] = []
    RequestLog("info", probed=set(), write=lines.append)(*REQUEST, TRACEPARENT)
    assert json.loads(lines[0]) == {**written("info", REQUEST)[0], "traceparent": TRACEPARENT, "timestamp": ANY}


def test_a_path_can_forge_no_line_and_break_none() -> None:
    [line] = written("info", ("id", "GET", '/"\n{"event":"forged"}\x00', 404, 0.0))
    assert line["path"] == '/"\n{"event":"forged"}\x00'


@pytest.mark.parametrize(
    ("level", "levels"), [("debug", ["info", "debug"]), ("info", ["info"]), ("warning", []), ("error", [])]
)
def test_probes_are_noted_at_debug_only_and_above_info_nothing_is(level: str, levels: list[str]) -> None:
    assert [line["level"] for line in written(level, REQUEST, PROBE)] == levels


def run(stderr: int | IO[bytes]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=stderr, check=False)


def test_what_the_house_logs_and_what_libraries_log_comes_out_in_one_form() -> None:
    process = run(subprocess.PIPE)
    lines = [json.loads(line) for line in process.stderr.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "started"),
        ("warning", "look out"),
        ("info", "request"),
    ]
    assert all([*line][:3] == ["timestamp", "level", "event"] for line in lines)
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_log_that_can_not_be_written_stops_nobody() -> None:
    with Path("/dev/full").open("wb") as full:
        process = run(full)
    assert process.stdout == b"still here\n"
