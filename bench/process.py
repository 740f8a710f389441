"""Reads from the kernel what a process uses."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal


def memory(pid: int, name: Literal["VmRSS", "VmHWM", "RssAnon"]) -> int:
    """Bytes in use: now, at most so far, or now without what it shares. 0 where the process has ended."""
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def children(pid: int) -> list[int]:
    """Those that any of its threads has started. None where the process has ended."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def family(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def arguments(pid: int) -> list[str]:
    """Its command line. Empty where the process has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def processor_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    """What a process has used so far of any core. 0 where the process has ended: its parent's ended children have it then."""
    with suppress(OSError):
        # Behind the name in parentheses, which may contain anything, these are the 12th to the 15th field: its own time and that
        # of its ended children, each as a program and in the kernel.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        return sum(map(int, fields if with_ended_children else fields[:2])) / os.sysconf("SC_CLK_TCK")
    return 0.0
