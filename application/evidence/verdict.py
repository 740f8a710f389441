"""The result of a verification of the log."""

from collections import Counter
from dataclasses import dataclass, field

from application.evidence.differences import Fault, Kind
from domain.checkpoint import Checkpoint


@dataclass(slots=True)
class Verdict:
    """`faults` are the first faults, by position; there may be more. `covered` is the newest checkpoint that the log agrees with.

    `checkpoints` counts the checkpoints that the log agrees with, and `agreeing` counts them by place. `kept` counts all
    checkpoints of each place.
    """

    events: int = 0
    position: int = 0
    checkpoints: int = 0
    agreeing: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    covered: Checkpoint | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def uncovered(self) -> int:
        """How many events come after the newest checkpoint. They are not signed yet."""
        return self.events - (self.covered.size if self.covered else 0)

    def lacks(self, place: str) -> bool:
        """Whether there are checkpoints, but none in this place. Then this place can't confirm the others."""
        return bool(self.kept) and not self.kept[place]

    @property
    def good(self) -> bool:
        return not self.faults

    @property
    def altered(self) -> bool:
        """Whether the log itself was altered, and not only the data beside it."""
        besides = {Kind.TILE, Kind.CHECKPOINT, Kind.SETTINGS, Kind.LOST}
        return any(fault.kind not in besides for fault in self.faults)

    @property
    def lost(self) -> bool:
        """Whether signed events are gone, and the log itself says that they were lost when it was continued on another server."""
        return any(fault.kind is Kind.LOST for fault in self.faults)

    @property
    def misfit(self) -> bool:
        """Whether only the settings are wrong: they are those of another log or key."""
        return bool(self.faults) and all(fault.kind is Kind.SETTINGS for fault in self.faults)
