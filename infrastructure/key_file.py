"""A private key in a file: made by whoever comes first, complete from the moment that it can be seen."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def write_once(path: Path, key: PrivateKeyTypes) -> None:
    """Write the key, unless the file is there by now: then that one is meant."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(descriptor)
        # A link appears complete or not at all and, unlike a rename, never replaces one that is there: of processes
        # that start at once, one wins, and all of them read what the winner wrote.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
