"""Where the commands write: results to standard output, everything else to standard error."""

import re
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

# Into a pipe or a file there is no width to fit into, and nothing must be cut off.
WIDE: Final = 250

output: Final = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
notes: Final = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


def sentence(error: Exception) -> str:
    """What it says. Of a file that can't be used, which and why: the number that Python adds is for programmers."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and what there are so many of: `1 event`, `2 events`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def complain(message: str) -> None:
    """One sentence a line. What a library broke and indented is one sentence all the same."""
    sentences = re.sub(r"\s*\n\s+", " ", message.strip())
    notes.print(Text("error: ", style="bold red") + Text(sentences, style=""), soft_wrap=True)
