"""What the figures were measured on and with."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.contender import SERVERS
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


def facts(stage: Stage) -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    settings = ", ".join(f"{name} {stage.setting(name)}" for name in (*DURABLE, "shared_buffers", "max_connections"))
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": f"{os.cpu_count()}; {stage.cores}",
        "memory": f"{memory:.1f} GB",
        "system": platform.platform(),
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "Python": sys.version.split()[0],
        "PostgreSQL": f"{stage.setting('server_version')}; {settings}",
        "wrk": _wrk(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "Node": _node(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _node() -> str:
    """With the packages that the contenders ask for by name."""
    if shutil.which("node") is None:
        return "-"
    folders = dict.fromkeys(folder for contender in SERVERS for folder in contender.packages)
    asked = [json.loads((folder / "package.json").read_text())["dependencies"] for folder in folders]
    packages = [f"{name} {number}" for of_one in asked for name, number in of_one.items()]
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return ", ".join((f"{said}; {packages[0]}", *packages[1:]))


def _wrk() -> str:
    # It says its version on the first line of its help, and fails.
    said = subprocess.run([program(), "-v"], capture_output=True, text=True, check=False)
    return " ".join((said.stdout + said.stderr).split()[:2])
