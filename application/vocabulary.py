"""The channels and toggles that can be asked for: what is in the log, and not only what can be chosen today."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from domain.catalogue import Catalogue
from domain.errors import ValidationFailed
from domain.published_catalogues import PublishedCatalogues

Checked = TypeVar("Checked")

Published: TypeAlias = Callable[[], Awaitable[PublishedCatalogues]]
"""Every catalogue that was ever published. Raises `Unavailable`."""


async def checked(catalogue: Catalogue, published: Published, check: Callable[[Catalogue], Checked]) -> Checked:
    """What `check` makes of what was asked for. Raises its `ValidationFailed` for a channel or a toggle that no catalogue ever had.

    The log keeps the choices of a toggle that has left the catalogue, or became mandatory. The catalogues of before are
    looked up only where the one in force doesn't know a word, so that nobody else pays for it.
    """
    try:
        return check(catalogue)
    except ValidationFailed as refused:
        if refused.details.keys().isdisjoint({"channel", "toggle"}):
            raise
    return check((await published()).together_with(catalogue))
