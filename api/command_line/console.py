"""Where the commands write: results to standard output, everything else to standard error."""

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

# Into a pipe or a file there is no width to fit into, and nothing must be cut off.
WIDE: Final = 250

output: Final = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
notes: Final = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


def complain(message: str) -> None:
    notes.print(Text("error: ", style="bold red") + Text(message.strip(), style=""))
