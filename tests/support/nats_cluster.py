"""Three NATS servers that are one cluster, each of which can be killed and started again."""

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from infrastructure.embedded.nats_server import NatsServer


class NatsCluster:
    def __init__(self, folder: Path, nodes: int = 3) -> None:
        routes = [f"nats://127.0.0.1:{port}" for port in _free_ports(nodes)]
        self.nodes = [
            NatsServer(
                folder / f"node{number}",
                settings={
                    "server_name": f"node{number}",
                    "authorization": {"token": "test"},
                    "cluster": {"name": "test", "listen": route.removeprefix("nats://"), "routes": routes},
                },
            )
            for number, route in enumerate(routes)
        ]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for node in self.nodes:
            self._running.enter_context(node)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def urls(self) -> list[str]:
        return [f"nats://test@{node.url.rpartition('@')[2]}" for node in self.nodes]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on. All are held until all are found, so that none comes twice."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
