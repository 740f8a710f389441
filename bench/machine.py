"""What the figures were measured on and with."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from bench.stage import DURABLE, Stage
from bench.wrk import program

PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "psycopg",
    "eventsourcing",
    "pydantic",
    "pyjwt",
    "orjson",
)


def facts(stage: Stage) -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "placement": str(stage.cores),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
        "postgresql": stage.setting("server_version"),
        "postgresql_settings": {name: stage.setting(name) for name in (*DURABLE, "shared_buffers", "max_connections")},
        "wrk": _wrk(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _wrk() -> str:
    # It says its version on the first line of its help, and fails.
    said = subprocess.run([program(), "-v"], capture_output=True, text=True, check=False)
    return " ".join((said.stdout + said.stderr).split()[:2])
