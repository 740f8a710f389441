"""A key that seals unsubscribe links: from the settings, or, in development mode, from this data directory."""

import secrets
from base64 import b64encode
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infrastructure.identity.key_file import write_once
from infrastructure.unsubscribe import link_secret

_CIPHER_BYTES: Final = 64
_ID_BYTES: Final = 4
_PURPOSE: Final = b"notification-preferences: unsubscribe link, version 1"


class LinkKey:
    """The cipher, and the `id` by which a link names its key.

    Both are derived from the secret, so an operator handles one value for each key, and the same secret gives the same id on every machine.
    """

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(SHA512(), _CIPHER_BYTES + _ID_BYTES, salt=None, info=_PURPOSE).derive(secret)
        self.cipher = AESSIV(derived[:_CIPHER_BYTES])
        self.id = derived[_CIPHER_BYTES:]

    @classmethod
    def parse(cls, text: str) -> "LinkKey":
        """Raises `ValueError`."""
        return cls(link_secret.parse(text))


def of_data_dir(data_dir: Path) -> LinkKey:
    """The key of a data directory. It is made on first use. Raises `ValueError`."""
    file = data_dir / "unsubscribe" / "key"
    if not file.exists():
        write_once(file, b64encode(secrets.token_bytes(link_secret.SECRET_BYTES)) + b"\n")
    try:
        return LinkKey.parse(file.read_text("utf-8").strip())
    except ValueError:
        raise ValueError(f"{file} holds no key for unsubscribe links") from None
