"""How many connections clients have open to this worker process. The server notes it every second."""

from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class OpenConnections:
    count: int = 0


open_connections: Final = OpenConnections()
