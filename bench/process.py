"""What the kernel says of a process."""

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
    """Those that any of its threads has started."""
    lists = (task / "children" for task in Path(f"/proc/{pid}/task").iterdir())
    return [int(child) for listed in lists for child in listed.read_text().split()]


def family(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def processor_seconds(pid: int) -> float:
    """What a process has used so far of any core."""
    # Behind the name in parentheses, which may contain anything, these are the 12th and 13th field.
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
