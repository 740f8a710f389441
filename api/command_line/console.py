"""The output of the commands: results go to standard output, everything else to standard error."""

import re
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

# The width of output to a pipe or a file, where nothing must be cut off.
WIDE: Final = 250

output: Final = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
notes: Final = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


def sentence(error: Exception) -> str:
    """The message of an error. For a file error, the file and the reason, without the error number that Python adds."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 event`, `2 events`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def complain(message: str) -> None:
    """Print an error, one sentence per line. Lines that a library has broken and indented are joined again."""
    sentences = re.sub(r"\s*\n\s+", " ", message.strip())
    notes.print(Text("error: ", style="bold red") + Text(sentences, style=""), soft_wrap=True)
