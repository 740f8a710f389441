"""How far the log is signed, for those who have to notice when it isn't any more."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SigningStatus:
    """`last` is when the newest checkpoint was signed, None where there is none. `lag_seconds`: for how long the first event behind it has
    waited for the next one; 0 where every event is signed.
    """

    last: datetime | None
    lag_seconds: float
