"""A secret key in a file. The first process makes it, and it is complete from the moment that it is visible."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_once(path: Path, key: bytes) -> None:
    """Write the key, unless the file exists by now: then that file counts."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(descriptor)
        # A link appears complete or not at all and, unlike a rename, never replaces an existing file: of processes that start at once,
        # one wins, and all of them read the file of the winner.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
