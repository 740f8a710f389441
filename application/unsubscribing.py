"""Unsubscribe links: the headers that a sender puts into a mail, and what the bearer of a link can do with it, which is to switch off."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import formataddr
from ipaddress import ip_address
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from application.decisions import UserDecision
from application.preferences.preferences import Preferences
from application.preferences.state import Change
from domain.catalogue import Catalogue, Toggle
from domain.errors import NotFound, ValidationFailed
from domain.preferences import stream_id
from domain.provenance import Actor, Provenance, Source
from domain.send_question import SendQuestion

SLICE: Final = 200
"""Links made without a pause, in about two milliseconds. Other requests wait no longer than that."""

ONE_CLICK: Final = "List-Unsubscribe=One-Click"
"""The value of `List-Unsubscribe-Post`, and the body that mail providers send (RFC 8058)."""


class Subscription(NamedTuple):
    """One kind of e-mail that goes to one user. `path` names channel and toggle."""

    organization: str | None
    user: str
    path: str

    @property
    def stream(self) -> UUID:
        return stream_id(self.organization, self.user)


class LinkTokens(Protocol):
    """Makes and reads tokens without any look-up. A token is the same each time, never expires, and has no readable personal data."""

    def make(self, organization: str | None, path: str, users: Sequence[str]) -> list[str]: ...

    def read(self, token: str) -> Subscription:
        """Raises `NotFound` for a token that was altered, or made with a key that is not known here."""
        ...


class Offer(NamedTuple):
    """What a link can switch off. `toggle` is None if it has left the catalogue."""

    subscription: Subscription
    toggle: Toggle | None

    @property
    def refused(self) -> bool:
        """Whether the toggle became mandatory after the mail was sent. Then no bearer of a link can switch it off, like any user."""
        return self.toggle is not None and self.toggle.mandatory


class Unsubscribing:
    """`address` is where links begin, up to and without the token. Without `tokens` no link is made or known, without `address` none
    is made. `used` counts the clicks that were recorded, or would have changed nothing, by their source.
    """

    def __init__(
        self,
        preferences: Preferences,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        tokens: LinkTokens | None,
        address: str | None,
    ) -> None:
        self._preferences = preferences
        self._catalogue = catalogue
        self._clock = clock
        self._tokens = tokens
        self._address = address
        self._host = _list_host(address or "")
        self.used: Counter[Source] = Counter()

    async def add_headers(self, question: SendQuestion, decisions: Sequence[UserDecision]) -> None:
        """Add the headers of a mail to each decision that allows it. A mandatory toggle has no link.

        Raises `ValidationFailed` if this service isn't set up to make links.
        """
        tokens, address = self._tokens, self._address
        if tokens is None or address is None:
            raise ValidationFailed(details={"unsubscribe": "needs the settings PUBLIC_URL and UNSUBSCRIBE_KEYS"})
        if question.toggle.mandatory:
            return
        list_id = formataddr((question.toggle.title, f"{question.toggle.name}.{question.channel}.{self._host}"))
        allowed = [decision for decision in decisions if decision["allowed"]]
        for begin in range(0, len(allowed), SLICE):
            if begin:
                await asyncio.sleep(0)
            some = allowed[begin : begin + SLICE]
            made = tokens.make(question.organization, question.path, [decision["user"] for decision in some])
            for decision, token in zip(some, made, strict=True):
                decision["list_unsubscribe"] = f"<{address}{token}>"
                decision["list_unsubscribe_post"] = ONE_CLICK
                decision["list_id"] = list_id

    def offer(self, token: str) -> Offer:
        """What the link can switch off. This looks nothing up and changes nothing. Raises `NotFound`."""
        if self._tokens is None:
            raise NotFound
        subscription = self._tokens.read(token)
        channel, _, toggle = subscription.path.partition(".")
        return Offer(subscription, self._catalogue.toggle(channel, toggle))

    async def switch_off(self, offer: Offer, source: Source, request_id: str, traceparent: str | None = None) -> None:
        """Record that the user doesn't want this kind of e-mail. Raises `Unavailable`; then it may be recorded, and trying again is safe.

        This is recorded even if the toggle has left the catalogue. The process may be one of an older release that doesn't know the toggle
        yet, or a later release may bring the toggle back, and in both cases the user must not be written to.
        """
        if offer.refused:
            return
        organization, user, path = offer.subscription
        provenance = Provenance(
            actor=Actor(user=user),
            organization=organization,
            source=source,
            request_id=request_id,
            occurred_at=self._clock(),
            catalogue_version=self._catalogue.version,
            traceparent=traceparent,
        )
        await self._preferences.change(Change(offer.subscription.stream, {path: False}, provenance))
        self.used[source] += 1


def _list_host(address: str) -> str:
    """The domain that a `List-Id` ends with. RFC 2919 has `localhost` for lists without a domain, and an address of digits is none."""
    host = urlsplit(address).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host
    return "localhost"
