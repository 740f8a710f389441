"""The personal part of an event, sealed under the key of the person whose preferences these are.

AES-256-GCM. The nonce is made of the event's own id, which no other event has, so it takes no room; the same id is
authenticated with it, so that what was sealed for one event can't be passed off as another's.
"""

import secrets
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ulid_transform import ulid_to_bytes

from domain.provenance import Actor

FIELDS: Final = ("user", "session", "impersonator")
"""In this order, separated; the last ones may be left out. An identifier with the separator in it is refused."""

_SEPARATOR: Final = "\x1f"
_NONCE: Final = slice(4, 16)
"""All that is random in a ULID, and the milliseconds."""


class Unsealable(ValueError):
    """Neither this key nor this event is what the actor was sealed with: one of the three was altered."""


def new_key() -> bytes:
    return secrets.token_bytes(32)


def seal(actor: Actor, key: bytes, event_id: str) -> bytes:
    user, session, impersonator = actor.get("user", ""), actor.get("session", ""), actor.get("impersonator", "")
    text = f"{user}{_SEPARATOR}{session}{_SEPARATOR}{impersonator}"
    if text.count(_SEPARATOR) != len(FIELDS) - 1:
        raise ValueError("an identifier with a control character in it")
    sealed = text.rstrip(_SEPARATOR).encode()
    return AESGCM(key).encrypt(ulid_to_bytes(event_id)[_NONCE], sealed, event_id.encode())


def unseal(sealed: bytes, key: bytes, event_id: str) -> Actor:
    """Raises `Unsealable`; `ValueError` for an id that no event has."""
    nonce = ulid_to_bytes(event_id)[_NONCE]
    try:
        text = AESGCM(key).decrypt(nonce, sealed, event_id.encode())
    except (InvalidTag, ValueError):  # the latter for a key that has another length than keys have
        raise Unsealable(f"the actor of event {event_id}") from None
    values = text.decode().split(_SEPARATOR)
    if len(values) == 2:  # nearly always
        return {"user": values[0], "session": values[1]}
    actor: Actor = {"user": values[0]}
    if len(values) > 2:
        actor["impersonator"] = values[2]
        if values[1]:
            actor["session"] = values[1]
    return actor


def opens(key: bytes, sealed: Iterable[tuple[bytes, str]]) -> bool:
    """Whether a key opens each of these actors, which come with the ids of their events.

    The key is set up once, and what is opened isn't taken apart: half the work of unsealing one after the other.
    """
    try:
        cipher = AESGCM(key)
        for actor, event_id in sealed:
            cipher.decrypt(ulid_to_bytes(event_id)[_NONCE], actor, event_id.encode()).decode()
    except (InvalidTag, ValueError, TypeError):  # the latter two for a key or an id that is none
        return False
    return True
