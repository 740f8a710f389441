"""The question whether users may be written to, checked against the catalogue."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeGuard

from domain.catalogue import Catalogue, Toggle, path
from domain.change import Fault, refuse
from domain.errors import UnknownNotificationKey, ValidationFailed

MAX_USERS: Final = 10_000
"""The most users in one question."""

ORGANIZATION: Final = "organization"
REQUIRED: Final = ("channel", "toggle", "users")
UNSUBSCRIBE: Final = "unsubscribe"
FIELDS: Final = frozenset({*REQUIRED, ORGANIZATION, UNSUBSCRIBE})

NAME: Final = r"[!-~]{1,255}"
"""The form of every name that can have a session. A user with any other name can't have made a choice, so the caller made a mistake."""

NAME_PHRASE: Final = "must have 1 to 255 characters, printable ASCII without spaces"

_is_name: Final = re.compile(NAME).fullmatch


class SendQuestion(NamedTuple):
    """May these users be written to? A user who is named twice is answered twice.

    `unsubscribe`: whether the answer has an unsubscribe link for each user who may be.
    """

    organization: str | None
    channel: str
    toggle: Toggle
    users: Sequence[str]
    unsubscribe: bool = False

    @property
    def path(self) -> str:
        return path(self.channel, self.toggle.name)


def send_question(document: object, catalogue: Catalogue, organization: str | None) -> SendQuestion:
    """The question that a parsed JSON document asks. The caller belongs to `organization`, or to the platform if it is None.

    The platform must name the organization, or null for users without one. Any other caller may name its own, or none.

    Raises a `RefusedChange` that lists every fault, under the code of the first kind that occurs.
    """
    if not isinstance(document, dict):
        raise ValidationFailed(details={"body": "must be an object"})
    faults = list(_faults(document, catalogue, organization))
    if faults:
        refuse(faults)
    channel = catalogue.channel(document["channel"])
    assert channel is not None
    toggle = channel.toggle(document["toggle"])
    assert toggle is not None
    return SendQuestion(
        document.get(ORGANIZATION, organization),
        channel.name,
        toggle,
        document["users"],
        document.get(UNSUBSCRIBE, False),
    )


def _faults(document: dict[str, object], catalogue: Catalogue, organization: str | None) -> Iterator[Fault]:
    for field in document:
        if field not in FIELDS:
            yield Fault(ValidationFailed, field, "unknown field")
    for field in REQUIRED:
        if field not in document:
            yield Fault(ValidationFailed, field, "is required")
    yield from _wrong_organization(document, organization)
    yield from _wrong_toggle(document, catalogue)
    if "users" in document:
        yield from _wrong_users(document["users"])
    if not isinstance(document.get(UNSUBSCRIBE, False), bool):
        yield Fault(ValidationFailed, UNSUBSCRIBE, "must be a boolean")


def _wrong_organization(document: dict[str, object], own: str | None) -> Iterator[Fault]:
    if own is not None:
        if document.get(ORGANIZATION, own) != own:
            yield Fault(ValidationFailed, ORGANIZATION, "must be your own")
    elif ORGANIZATION not in document:
        yield Fault(ValidationFailed, ORGANIZATION, "is required of a key of the platform")
    elif (named := document[ORGANIZATION]) is not None:
        if not isinstance(named, str):
            yield Fault(ValidationFailed, ORGANIZATION, "must be a string or null")
        elif not _is_name(named):
            yield Fault(ValidationFailed, ORGANIZATION, NAME_PHRASE)


def _wrong_toggle(document: dict[str, object], catalogue: Catalogue) -> Iterator[Fault]:
    channel = None
    if _text(name := document.get("channel", "")):
        channel = catalogue.channel(name)
        if channel is None and "channel" in document:
            yield Fault(UnknownNotificationKey, "channel", "unknown channel")
    else:
        yield Fault(ValidationFailed, "channel", "must be a string")
    if _text(name := document.get("toggle", "")):
        if channel is not None and "toggle" in document and channel.toggle(name) is None:
            yield Fault(UnknownNotificationKey, "toggle", "unknown toggle")
    else:
        yield Fault(ValidationFailed, "toggle", "must be a string")


def _wrong_users(users: object) -> Iterator[Fault]:
    if not isinstance(users, list):
        yield Fault(ValidationFailed, "users", "must be a list")
    elif not 1 <= len(users) <= MAX_USERS:
        yield Fault(ValidationFailed, "users", f"must have 1 to {MAX_USERS} entries")
    else:
        for number, user in enumerate(users):
            if not _text(user):
                yield Fault(ValidationFailed, f"users.{number}", "must be a string")
            elif not _is_name(user):
                yield Fault(ValidationFailed, f"users.{number}", NAME_PHRASE)


def _text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)
