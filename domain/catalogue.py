"""The channels and toggles that a user can choose. To add a channel or a toggle, edit `CATALOGUE`, and run `make openapi`.

This module alone defines absence: if a user recorded no choice for a toggle, the toggle's default is the answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

Choices: TypeAlias = Mapping[str, bool]
"""Recorded choices: maps a toggle's path (`email.product_updates`) to the user's choice."""

Resolved: TypeAlias = dict[str, dict[str, bool]]
"""The answer: names every visible toggle of every channel. It leaves out a channel without visible toggles."""


class Words(NamedTuple):
    """Plain sentences for people. They are published with the catalogue, so they are evidence of what a user was told."""

    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Toggle:
    """A `mandatory` toggle is always sent. No user can change it and the answers with preferences don't show it.

    `words` is None in the catalogues that were published without words.
    """

    name: str
    default: bool
    mandatory: bool = False
    words: Words | None = None

    @property
    def title(self) -> str:
        return self.words.title if self.words else readable(self.name)

    @property
    def description(self) -> str:
        return self.words.description if self.words else ""


@dataclass(frozen=True)
class Channel:
    name: str
    toggles: tuple[Toggle, ...]
    words: Words | None = None

    @property
    def title(self) -> str:
        return self.words.title if self.words else readable(self.name)

    @property
    def description(self) -> str:
        return self.words.description if self.words else ""

    def toggle(self, name: str) -> Toggle | None:
        return self._toggle_of.get(name)

    @cached_property
    def _toggle_of(self) -> Mapping[str, Toggle]:
        return {toggle.name: toggle for toggle in self.toggles}

    @property
    def visible(self) -> Iterator[Toggle]:
        return (toggle for toggle in self.toggles if not toggle.mandatory)


@dataclass(frozen=True)
class Catalogue:
    """Each published edit raises `version`. Each event names the version that its user was shown."""

    version: int
    channels: tuple[Channel, ...]

    def channel(self, name: str) -> Channel | None:
        return self._channel_of.get(name)

    def toggle(self, channel: str, name: str) -> Toggle | None:
        known = self.channel(channel)
        return known.toggle(name) if known else None

    @cached_property
    def _channel_of(self) -> Mapping[str, Channel]:
        return {channel.name: channel for channel in self.channels}

    @cached_property
    def defaults(self) -> Choices:
        """The default of every visible toggle, by path."""
        return {
            path(channel.name, toggle.name): toggle.default for channel in self.channels for toggle in channel.visible
        }

    def resolve(self, choices: Choices) -> Resolved:
        """The effective preferences. If a toggle has left the catalogue, its choices stay in the log but no answer shows them."""
        return {
            channel.name: toggles
            for channel in self.channels
            if (
                toggles := {
                    toggle.name: choices.get(path(channel.name, toggle.name), toggle.default)
                    for toggle in channel.visible
                }
            )
        }


def path(channel: str, toggle: str) -> str:
    return f"{channel}.{toggle}"


def readable(name: str) -> str:
    """The title where no words were published: `product_updates` reads "Product updates"."""
    spaced = name.replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


CATALOGUE: Final = Catalogue(
    version=2,
    channels=(
        Channel(
            "email",
            words=Words("E-mail", "Messages to the e-mail address of your account."),
            toggles=(
                Toggle(
                    "product_updates",
                    default=True,
                    words=Words("Product updates", "News about new features and improvements."),
                ),
                Toggle(
                    "delivery_alerts",
                    default=True,
                    words=Words("Delivery alerts", "Tells you when something that you sent could not be delivered."),
                ),
                Toggle(
                    "billing_receipts",
                    default=True,
                    words=Words("Billing receipts", "A receipt for each payment."),
                ),
                Toggle(
                    "weekly_usage_digest",
                    default=False,
                    words=Words("Weekly usage digest", "A summary of your usage, once a week."),
                ),
                Toggle(
                    "security_alerts",
                    default=True,
                    mandatory=True,
                    words=Words(
                        "Security alerts",
                        "Warns you when the security of your account is at risk. These e-mails can't be switched off, because "
                        "otherwise an intruder could switch them off, and you would never be warned.",
                    ),
                ),
            ),
        ),
    ),
)
