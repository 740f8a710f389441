"""The name under which the sender asks the service."""

from typing import Final

USER_AGENT: Final = "email-sender-example"
"""Firewalls refuse the library's default name, because scanners use it too."""
