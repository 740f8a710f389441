"""The processor time that a contender takes: of its server, of the followers beside it, and of PostgreSQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from bench.process import arguments, family, processor_seconds
from bench.record import Record

FOLLOW = "follow"
"""The command that a process of followers runs."""


@dataclass(frozen=True)
class Processor:
    """Seconds of any core. `index` is the part of the audit index: the followers' process and its connection in PostgreSQL."""

    server: float = 0.0
    followers: float = 0.0
    postgres: float = 0.0
    index: float = 0.0

    @property
    def together(self) -> float:
        return self.server + self.followers + self.postgres

    def __sub__(self, earlier: Self) -> "Processor":
        return Processor(
            self.server - earlier.server,
            self.followers - earlier.followers,
            self.postgres - earlier.postgres,
            self.index - earlier.index,
        )


class Account:
    """Of one contender. Of PostgreSQL it has every process but the benchmark's own connections: the other contenders rest meanwhile.

    Ended processes count through their parents, so none is missed that began and ended between two looks.
    """

    def __init__(self, server: int | None, postgres: int, record: Record) -> None:
        self._server, self._postgres, self._record = server, postgres, record

    def so_far(self) -> Processor:
        service = {} if self._server is None else _used_by_family(self._server)
        followers = sum(used for pid, used in service.items() if is_follower(pid))
        ours, indexing = self._record.connections()
        postgres = _used_by_family(self._postgres)
        return Processor(
            server=sum(service.values()) - followers,
            followers=followers,
            postgres=sum(postgres.values()) - _sum(postgres, ours),
            index=followers + _sum(postgres, indexing),
        )


def is_follower(pid: int) -> bool:
    return FOLLOW in arguments(pid)


def _used_by_family(pid: int) -> dict[int, float]:
    """What each of them has used, with its ended children. Read again where one ended meanwhile, whose time would be in none of them."""
    while True:
        members = family(pid)
        used = {member: processor_seconds(member, with_ended_children=True) for member in members}
        if family(pid) == members:
            return used


def _sum(used: dict[int, float], processes: Iterable[int]) -> float:
    return sum(used.get(pid, 0.0) for pid in processes)
