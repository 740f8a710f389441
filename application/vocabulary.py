"""The channels and toggles that a reader can ask for: all that the log contains, not only those that can be chosen today."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from domain.catalogue import Catalogue
from domain.errors import ValidationFailed
from domain.published_catalogues import PublishedCatalogues

Checked = TypeVar("Checked")

Published: TypeAlias = Callable[[], Awaitable[PublishedCatalogues]]
"""Every catalogue that was ever published. Raises `Unavailable`."""


def unknown(catalogue: Catalogue, channel: str | None, toggle: str | None) -> dict[str, str]:
    """The details of a `ValidationFailed` if the catalogue has no such channel, or no such toggle in it. None stands for any."""
    channels = [known for known in catalogue.channels if channel in (None, known.name)]
    if not channels:
        return {"channel": "unknown channel"}
    if toggle is not None and not any(toggle == known.name for one in channels for known in one.visible):
        return {"toggle": "unknown toggle"}
    return {}


async def validate_with_history(
    catalogue: Catalogue, published: Published, check: Callable[[Catalogue], Checked]
) -> Checked:
    """The result of `check`. Raises the `ValidationFailed` of `check` for a channel or a toggle that no catalogue ever had.

    The log keeps the choices of a toggle that has left the catalogue or became mandatory. Earlier catalogues are looked up
    only if the one in force doesn't know the channel or toggle, so all other requests don't pay for the look-up.
    """
    try:
        return check(catalogue)
    except ValidationFailed as refused:
        if refused.details.keys().isdisjoint({"channel", "toggle"}):
            raise
    return check((await published()).merged_with_history(catalogue))
