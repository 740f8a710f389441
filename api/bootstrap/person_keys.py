"""Checks the keys of persons on the actors sealed under them, and repairs them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from application.progress import Progress
from infrastructure.erasure import key_copy, person_keys
from infrastructure.erasure.key_repair import KeyRepair, Repaired
from infrastructure.erasure.person_keys import Fit
from infrastructure.evidence.log_tree import reading
from infrastructure.log import log_table

NAMED: Final = 20
"""Streams that are listed, at most."""


@dataclass(slots=True)
class Checked:
    """How many keys fit how well, and the first streams with a key that doesn't fit."""

    fits: Counter[Fit] = field(default_factory=Counter)
    first: list[tuple[UUID, Fit]] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        return sum(count for fit, count in self.fits.items() if not fit.good)


def check(url: str, progress: Progress) -> Checked:
    """Try every key on every actor that was sealed since the last erasure of its stream."""
    checked = Checked()
    with reading(url) as connection:
        about = log_table.about(connection)
        for of in person_keys.streams(connection, lambda done: progress(done, max(done, about))):
            fit = person_keys.fit(of)
            checked.fits[fit] += 1
            if not fit.good and len(checked.first) < NAMED:
                checked.first.append((of.stream, fit))
    return checked


def repair(url: str, copy: Path | None, progress: Progress, *, give_up: bool) -> Repaired:
    """Repair the keys. Raises `NotACopy` if the file isn't a copy of the keys."""
    return KeyRepair(url, {} if copy is None else key_copy.read(copy), give_up=give_up).run(progress)
