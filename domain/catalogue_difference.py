"""The differences between two catalogues, and which users they affect."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from domain.catalogue import Catalogue, Channel, Toggle, Words, path

Entry: TypeAlias = Channel | Toggle


class Alteration(NamedTuple):
    """A toggle that differs between two catalogues, or a channel whose words differ. `before` or `after` is None if that catalogue does
    not have it.
    """

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def default_changed(self) -> bool:
        """Both catalogues show the toggle, with different defaults. The answer changes for each user without a choice for it."""
        before, after = _shown(self.before), _shown(self.after)
        return before is not None and after is not None and before.default is not after.default

    @property
    def answer_reshaped(self) -> bool:
        """The toggle enters or leaves the answer. The answer changes for every user."""
        return (_shown(self.before) is None) is not (_shown(self.after) is None)

    def __str__(self) -> str:
        if self.after is None:
            return "removed"
        if self.before is None:
            return f"added: {', '.join(filter(None, (_effect(self.after), _quoted(self.after.words))))}"
        effects = _effect(self.before), _effect(self.after)
        changes = [" -> ".join(effects)] if effects[0] != effects[1] else []
        return "; ".join([*changes, *_reworded(self.before.words, self.after.words)])


def alterations(before: Catalogue | None, after: Catalogue) -> list[Alteration]:
    """In the order of `after`, each channel before its toggles. What was removed comes last. `before` is None for the first catalogue."""
    old = dict(_entries(before)) if before is not None else {}
    new = dict(_entries(after))
    paths = [*new, *(path for path in old if path not in new)]
    return [Alteration(path, old.get(path), new.get(path)) for path in paths if _differ(old.get(path), new.get(path))]


def _entries(catalogue: Catalogue) -> Iterator[tuple[str, Entry]]:
    for channel in catalogue.channels:
        yield channel.name, channel
        for toggle in channel.toggles:
            yield path(channel.name, toggle.name), toggle


def _differ(before: Entry | None, after: Entry | None) -> bool:
    """A channel differs only by its words: each of its toggles is compared by itself."""
    if isinstance(before, Toggle) or isinstance(after, Toggle):
        return before != after
    return (before and before.words) != (after and after.words)


def _shown(entry: Entry | None) -> Toggle | None:
    return entry if isinstance(entry, Toggle) and not entry.mandatory else None


def _effect(entry: Entry) -> str:
    if isinstance(entry, Channel):
        return ""
    return "always sent" if entry.mandatory else f"default {'on' if entry.default else 'off'}"


def _reworded(before: Words | None, after: Words | None) -> Iterator[str]:
    if before is None or after is None:
        if before != after:
            yield "words removed" if after is None else f"words added: {_quoted(after)}"
        return
    for name, old, new in zip(Words._fields, before, after, strict=True):
        if old != new:
            yield f'{name} "{old}" -> "{new}"'


def _quoted(words: Words | None) -> str:
    return f'"{words.title}" ({words.description})' if words else ""
