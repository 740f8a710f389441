"""Wires unsubscribe links."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from application.preferences.preferences import Preferences
from application.unsubscribing import Unsubscribing
from domain.catalogue import CATALOGUE
from infrastructure.settings import Settings, SettingsError
from infrastructure.unsubscribe.link_key import LinkKey, of_data_dir
from infrastructure.unsubscribe.sealed_tokens import SealedTokens

PATH: Final = "/unsubscribe/"


def link_keys(settings: Settings) -> list[LinkKey]:
    """Newest first. In development mode, a key of the data directory. Raises `SettingsError` for one that can't be used."""
    try:
        if settings.unsubscribe_keys or not settings.development:
            return [LinkKey.parse(text) for text in settings.unsubscribe_keys]
        return [of_data_dir(settings.data_dir)]
    except ValueError as error:
        raise SettingsError(str(error)) from None


def unsubscribing(settings: Settings, preferences: Preferences, clock: Callable[[], datetime]) -> Unsubscribing:
    keys = link_keys(settings)
    address = None if settings.public_url is None else f"{settings.public_url}{PATH}"
    return Unsubscribing(preferences, CATALOGUE, clock, SealedTokens(keys) if keys else None, address)


def links_finding(settings: Settings) -> tuple[str, bool]:
    """What `preferences check` says of links, and whether it is a fault. This makes no key."""
    if settings.development:
        return "links lead to the address that is served, in development mode", False
    keys = len(settings.unsubscribe_keys)
    if not settings.public_url or not keys:
        return "no links are made: PUBLIC_URL and UNSUBSCRIBE_KEYS are not both set", False
    opening = "1 key opens" if keys == 1 else f"{keys} keys open"
    return f"links lead to {settings.public_url}{PATH}; {opening} them", False
