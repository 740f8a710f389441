"""Facts about the connection that a request came over. Our server passes them on in an extension of ASGI."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from domain.errors import ServiceError

EXTENSION: Final = "preferences.connection"


@dataclass(slots=True)
class Stopping:
    """How far a server process is with stopping. All connections of the process share one.

    After `begun`, each answer ends its connection, and new connections are still accepted. `ending` is set when the process
    accepts no more connections.
    """

    begun: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class ClientConnection:
    """`abort` drops the connection, and with it all bytes that the client hasn't taken yet.

    `fault` says why the body that is being read will never be complete.
    """

    abort: Callable[[], None] = lambda: None
    server: Stopping = field(default_factory=Stopping)
    fault: ServiceError | None = None

    def raise_fault(self) -> None:
        """Raise the fault, if there is one."""
        # No local variable holds it. Its traceback would refer to the variable, and the garbage collector would have to free both.
        if self.fault is not None:
            raise self.fault


def connection(scope: Scope) -> ClientConnection:
    """The connection of a request. Under another server than ours, one without any facts."""
    found: ClientConnection | None = scope.get("extensions", {}).get(EXTENSION)
    return found or ClientConnection()
