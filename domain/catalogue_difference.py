"""What one catalogue changes about another, and for whom."""

from collections.abc import Iterator
from typing import NamedTuple

from domain.catalogue import Catalogue, Toggle, path


class Alteration(NamedTuple):
    """A toggle that two catalogues disagree about; None where one of them doesn't have it."""

    path: str
    before: Toggle | None
    after: Toggle | None

    @property
    def default_changed(self) -> bool:
        """Shown before and after with different defaults: the answer changes for who recorded no choice for it."""
        return _shown(self.before) and _shown(self.after) and self.before != self.after

    @property
    def answer_reshaped(self) -> bool:
        """It enters or leaves the answer, which is another one for everybody."""
        return _shown(self.before) is not _shown(self.after)

    def __str__(self) -> str:
        if self.after is None:
            return "removed"
        if self.before is None:
            return f"added: {_described(self.after)}"
        return f"{_described(self.before)} -> {_described(self.after)}"


def alterations(before: Catalogue | None, after: Catalogue) -> list[Alteration]:
    """In the order of `after`, followed by what is removed. Nothing at all precedes the first catalogue."""
    old = dict(_toggles(before)) if before is not None else {}
    new = dict(_toggles(after))
    paths = [*new, *(path for path in old if path not in new)]
    return [Alteration(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def _toggles(catalogue: Catalogue) -> Iterator[tuple[str, Toggle]]:
    return ((path(channel.name, toggle.name), toggle) for channel in catalogue.channels for toggle in channel.toggles)


def _shown(toggle: Toggle | None) -> bool:
    return toggle is not None and not toggle.mandatory


def _described(toggle: Toggle) -> str:
    return "always sent" if toggle.mandatory else f"default {'on' if toggle.default else 'off'}"
