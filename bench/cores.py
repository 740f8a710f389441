"""Assigns processor cores: the server under test has one to itself, so that contenders can be compared."""

import os
from dataclasses import dataclass
from typing import Self

from bench.process import children


@dataclass(frozen=True)
class Cores:
    """`server` runs the process under test, `others` PostgreSQL and the load. Where there is one core, they share it."""

    everything: frozenset[int]
    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Self:
        if not hasattr(os, "sched_getaffinity"):
            return cls(frozenset(), frozenset(), frozenset())
        everything = frozenset(os.sched_getaffinity(0))
        server = frozenset({max(everything)})
        return cls(everything, server, everything - server or everything)

    @property
    def pinned(self) -> bool:
        return self.server != self.others

    def __str__(self) -> str:
        if not self.pinned:
            return f"{os.cpu_count()} cores, nothing pinned"
        return f"server on core {min(self.server)}, PostgreSQL and load on {', '.join(map(str, sorted(self.others)))}"


def pin(cores: frozenset[int], pid: int = 0) -> None:
    """Have a process (by default this one, and whatever it starts from now on) run on these cores only."""
    if cores:
        os.sched_setaffinity(pid, cores)


def pin_family(cores: frozenset[int], pid: int) -> None:
    """The same as `pin` for a process and its children."""
    if not cores:
        return
    for member in (pid, *children(pid)):
        try:
            pin(cores, member)
        except ProcessLookupError:
            continue  # A backend whose client has just left.
