"""How far the log is signed. Monitoring uses it to notice when signing has stopped."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SigningStatus:
    """`last` is the time of the newest checkpoint, None if there is none.

    `lag_seconds` is how long the first unsigned event has waited for the next checkpoint; 0 if every event is signed.
    """

    last: datetime | None
    lag_seconds: float
