"""The name under which the service sends its own requests."""

from typing import Final

USER_AGENT: Final = "notification-preferences"
"""Firewalls refuse the library's default name, because scanners use it too."""
