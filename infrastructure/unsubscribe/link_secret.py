"""The secret of a key for unsubscribe links, as settings and files write it. Reading it needs no cryptography, so settings load quickly."""

import binascii
from base64 import b64decode
from typing import Final

SECRET_BYTES: Final = 32


def parse(text: str) -> bytes:
    """Raises `ValueError` for anything but base64 of 32 bytes or more."""
    try:
        secret = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"must be base64 of at least {SECRET_BYTES} bytes each (openssl rand -base64 {SECRET_BYTES})")
    return secret
