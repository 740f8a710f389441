"""The key that signs checkpoints: from the settings, or from this data directory."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infrastructure.identity import key_file
from infrastructure.identity.key_file import write_once


def path(data_dir: Path) -> Path:
    return data_dir / "audit" / "signing-key.pem"


def parse(pem: str) -> Ed25519PrivateKey:
    """Raises `ValueError` for anything but a private Ed25519 key without a password, as PEM."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("must be a private Ed25519 key as a PEM (openssl genpkey -algorithm ed25519)")  # noqa: TRY004 - a wrong value
    return key


def of_data_dir(data_dir: Path) -> Ed25519PrivateKey:
    """The key of a data directory. It is made on first use. Raises `ValueError`."""
    file = path(data_dir)
    if not file.exists():
        write_once(file, key_file.pem(Ed25519PrivateKey.generate()))
    try:
        return parse(file.read_text("utf-8"))
    except ValueError:
        raise ValueError(f"{file} holds no private Ed25519 key") from None
