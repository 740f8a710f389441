"""A key that seals unsubscribe links: from the settings, or, in development mode, from this data directory."""

import binascii
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infrastructure.identity.key_file import write_once

SECRET_BYTES: Final = 32
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
        """Raises `ValueError` for anything but base64 of 32 bytes or more."""
        try:
            secret = b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) < SECRET_BYTES:
            raise ValueError(
                f"must be base64 of at least {SECRET_BYTES} bytes each (openssl rand -base64 {SECRET_BYTES})"
            )
        return cls(secret)


def of_data_dir(data_dir: Path) -> LinkKey:
    """The key of a data directory. It is made on first use. Raises `ValueError`."""
    file = data_dir / "unsubscribe" / "key"
    if not file.exists():
        write_once(file, b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n")
    try:
        return LinkKey.parse(file.read_text("utf-8").strip())
    except ValueError:
        raise ValueError(f"{file} holds no key for unsubscribe links") from None
