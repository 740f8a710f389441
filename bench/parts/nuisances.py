"""Memory of the server, and p99 of its other clients, while a crowd of clients is only in the way.

They come at the beginning of a run, and all limits pass within it, so it has their arrival, their stay and their end.
"""

import resource
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from statistics import median

from bench.contender import OURS
from bench.goals import Figure
from bench.pair import CONNECTIONS
from bench.server import PATH
from bench.stage import Stage
from bench.trial import Trial, VoidRun

NAME = "nuisances"
HEADER_WITHIN, BODY_WITHIN = 2, 3
"""Seconds; the defaults are 10 and 30. Shorter ones end the crowd's connections more at once, while others are served."""
KEPT = 30
"""Seconds after which a connection that the server has not ended counts as kept for ever."""
HURRIED = replace(OURS, settings={"HEADER_WITHIN": str(HEADER_WITHIN), "BODY_WITHIN": str(BODY_WITHIN)})
MORE = b"x" * (1 << 16)


@dataclass(frozen=True)
class Nuisance:
    """`many` clients that send `begun`, and then either wait or, if `endless`, send on for as long as they can. The server has to end
    their connections `within` seconds."""

    name: str
    many: int
    within: int
    begun: bytes = b""
    endless: bool = False


class Client:
    """One of them. It takes little time for itself: it shares a core with the load."""

    def __init__(self, nuisance: Nuisance, port: int) -> None:
        self._nuisance = nuisance
        self._began = time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(nuisance.begun)
        self.socket.setblocking(False)
        self.events = EVENT_READ | EVENT_WRITE if nuisance.endless else EVENT_READ

    def late(self) -> float:
        """Seconds beyond its limit."""
        return time.monotonic() - self._began - self._nuisance.within

    def go_on(self, events: int) -> bool:
        """Whether the server lets it."""
        try:
            if events & EVENT_WRITE:
                self.socket.send(MORE)
            ended = events & EVENT_READ and not self.socket.recv(len(MORE))
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        # A client that sends on and on does so even if the server has ended its side.
        return self._nuisance.endless or not ended


def nuisances(token: str) -> tuple[Nuisance, ...]:
    head = f"PATCH {PATH} HTTP/1.1\r\nHost: bench\r\n".encode()
    caller = f"Authorization: Bearer {token}\r\n".encode()
    return (
        Nuisance("headers without end", 5, HEADER_WITHIN, head + b"X-Padding: ", endless=True),
        Nuisance("bodies without a token", 5, BODY_WITHIN, head + b"Content-Length: 99999999999\r\n\r\n", endless=True),
        Nuisance("silent connections", 1500, HEADER_WITHIN),
        Nuisance("half bodies", 500, BODY_WITHIN, head + caller + b'Content-Length: 40\r\n\r\n{"email": '),
    )


def measure(stage: Stage) -> list[Figure]:
    pairs, late = [], []
    with stage.trial(HURRIED) as trial, ThreadPoolExecutor(1) as thread:
        crowd = nuisances(trial.users.a_token)
        _allow_files(2 * sum(each.many for each in crowd))
        _p99(stage, trial)
        _, before = trial.server.resident
        for _ in range(stage.size.rounds):
            stage.settle()
            alone = _p99(stage, trial)
            ended = thread.submit(come, crowd, trial.server.port)
            pairs.append((_p99(stage, trial), alone))
            late.append(ended.result())
        _, most = trial.server.resident
    beside, alone = map(median, zip(*pairs, strict=True))
    they = ", ".join(f"{each.many:,} {each.name}" for each in crowd)
    detail = f"{beside:.1f} ms beside them, {alone:.1f} ms without"
    return [
        Figure("nuisances.memory", (most - before) / 1e6, f"at most, in all rounds, beside {they}"),
        Figure("nuisances.p99", median(one / other for one, other in pairs), detail),
        Figure("nuisances.late", max(late), "of the connection that stayed the longest"),
    ]


def come(crowd: Iterable[Nuisance], port: int) -> float:
    """The seconds that one of their connections was open beyond its limit, at most. Raises `VoidRun` if one was kept for ever."""
    late = []
    with DefaultSelector() as selector:
        for each in crowd:
            for _ in range(each.many):
                client = Client(each, port)
                selector.register(client.socket, client.events, client)
        patience = time.monotonic() + KEPT
        while selector.get_map():
            for key, events in selector.select(1):
                client = key.data
                if not client.go_on(events):
                    selector.unregister(client.socket)
                    client.socket.close()
                    late.append(client.late())
            if time.monotonic() > patience:
                raise VoidRun(f"{len(selector.get_map())} connections were still open after {KEPT} s")
    return max(late)


def _p99(stage: Stage, trial: Trial) -> float:
    return trial.run("MIXED", CONNECTIONS, stage.size.seconds).counted().answers.p99


def _allow_files(many: int) -> None:
    """Let this process, and what it starts from now on, have so many files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < many:
        resource.setrlimit(resource.RLIMIT_NOFILE, (many if hard == resource.RLIM_INFINITY else min(many, hard), hard))
