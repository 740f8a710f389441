"""The differences between two catalogues, and which users they affect."""

from collections.abc import Iterator
from typing import NamedTuple

from domain.catalogue import Catalogue, Toggle, path


class Alteration(NamedTuple):
    """A toggle that differs between two catalogues. `before` or `after` is None if that catalogue does not have the toggle."""

    path: str
    before: Toggle | None
    after: Toggle | None

    @property
    def default_changed(self) -> bool:
        """Both catalogues show the toggle, with different defaults. The answer changes for each user without a choice for it."""
        return _shown(self.before) and _shown(self.after) and self.before != self.after

    @property
    def answer_reshaped(self) -> bool:
        """The toggle enters or leaves the answer. The answer changes for every user."""
        return _shown(self.before) is not _shown(self.after)

    def __str__(self) -> str:
        if self.after is None:
            return "removed"
        if self.before is None:
            return f"added: {_described(self.after)}"
        return f"{_described(self.before)} -> {_described(self.after)}"


def alterations(before: Catalogue | None, after: Catalogue) -> list[Alteration]:
    """In the order of `after`; removed toggles come last. `before` is None for the first catalogue."""
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
