"""The server's protocol within the process of a test, for an application that answers without anything else."""

from types import SimpleNamespace
from typing import Any

from starlette.types import ASGIApp

from api.server.http_protocol import HttpProtocol
from api.server.patience import Limits
from api.server.serving import Serving


class Protocols:
    """Makes the protocol of each connection, for `create_server`. `connections` are those that are open."""

    def __init__(self, app: ASGIApp, limits: Limits | None = None) -> None:
        self._serving = Serving(limits or Limits(), drain_seconds=0)
        self.connections: set[HttpProtocol] = set()
        self._shared: dict[str, Any] = {
            "config": SimpleNamespace(loaded_app=app),
            "server_state": SimpleNamespace(connections=self.connections, tasks=set(), default_headers=[]),
        }

    def __call__(self) -> HttpProtocol:
        return self._serving(**self._shared)
