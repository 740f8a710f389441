"""A checkpoint: the size and Merkle root of the log at one moment, in the form of C2SP's tlog-checkpoint.

A copy of a checkpoint proves later whether the log still contains the same events.
"""

import re
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Final, NamedTuple, Self

_TEXT: Final = re.compile(
    r"(?P<origin>[^\n]+)\n"
    r"(?P<size>[1-9][0-9]{0,18})\n"
    r"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"position (?P<position>[1-9][0-9]{0,18})\n"
    r"time (?P<time>[^\n]+)\n"
)


class Checkpoint(NamedTuple):
    """`size` counts the events, `root` is the Merkle root over them, `position` is that of the last event. `time` is in UTC.

    A log without events has no checkpoint, because there is nothing to prove.
    """

    origin: str
    size: int
    root: bytes
    position: int
    time: datetime

    @property
    def text(self) -> str:
        """The signed text. The form allows extension lines; the last two lines are such lines."""
        root = b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nposition {self.position}\ntime {self.time.isoformat()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `ValueError` for anything but the exact text of a checkpoint."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("not the text of a checkpoint")
        checkpoint = cls(
            found["origin"],
            int(found["size"]),
            b64decode(found["root"]),
            int(found["position"]),
            datetime.fromisoformat(found["time"]),
        )
        if checkpoint.text != text:
            raise ValueError("not the exact text of a checkpoint")
        return checkpoint
