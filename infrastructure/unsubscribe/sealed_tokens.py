"""The tokens of unsubscribe links. They are sealed, and no table has them."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from typing_extensions import override

from application.unsubscribing import LinkTokens, Subscription
from domain.errors import NotFound
from infrastructure.unsubscribe.link_key import LinkKey

VERSION: Final = b"\x01"
_HEAD: Final = 5
_SEPARATOR: Final = "\x1f"


class SealedTokens(LinkTokens):
    """A token is base64url, without padding, of: the version (1 byte), the key's id (4 bytes), and toggle, user and organization under
    AES-256-SIV (RFC 5297), with version and id authenticated.

    AES-SIV takes no nonce. So the same subscription always has the same link, which no counter and no table has to remember, and
    two links that differ tell nothing more than that they differ. The ids are encrypted and not only signed, because links are stored
    and logged wherever mails are.
    """

    def __init__(self, keys: Sequence[LinkKey]) -> None:
        """`keys`: newest first. The newest seals. All of them open."""
        self._newest = keys[0]
        self._keys = {VERSION + key.id: key for key in reversed(keys)}

    @override
    def make(self, organization: str | None, path: str, users: Sequence[str]) -> list[str]:
        head = VERSION + self._newest.id
        seal, authenticated = self._newest.cipher.encrypt, [head]
        # The organization comes last, because it alone can have any character. It is left out if there is none.
        begin = f"{path}{_SEPARATOR}"
        end = "" if organization is None else f"{_SEPARATOR}{organization}"
        return [
            urlsafe_b64encode(head + seal(f"{begin}{user}{end}".encode(), authenticated)).rstrip(b"=").decode()
            for user in users
        ]

    @override
    def read(self, token: str) -> Subscription:
        try:
            sealed = urlsafe_b64decode(f"{token}{'=' * (-len(token) % 4)}")
            key = self._keys[sealed[:_HEAD]]
            opened = key.cipher.decrypt(sealed[_HEAD:], [sealed[:_HEAD]]).decode()
        except (binascii.Error, ValueError, KeyError, InvalidTag):
            raise NotFound from None
        # The decoder skips characters that are none of its alphabet, and ignores the last bits of the last character. An altered link must
        # not be a second name of the same subscription.
        if urlsafe_b64encode(sealed).rstrip(b"=").decode() != token:
            raise NotFound
        path, user, *organization = opened.split(_SEPARATOR, 2)
        return Subscription(organization[0] if organization else None, user, path)
