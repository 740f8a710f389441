"""The development keys: the service has an issuer of its own, so that it runs and can be called without a Clerk account."""

import secrets
import time
from pathlib import Path
from typing import ClassVar, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from infrastructure.identity.key_file import pem, write_once

_KID: Final = "development"
_BITS: Final = 2048


class DevelopmentKeys:
    """A signing key of one data directory. It is made on first use.

    `.invalid` is reserved (RFC 2606), so it can't be the name of a real issuer. Raises `ValueError` if the file exists but holds no RSA
    key.
    """

    issuer: ClassVar[str] = "https://development.invalid"

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "development" / "signing-key.pem"
        self._key = _load(path) if path.exists() else _create(path)

    @property
    def public_pem(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def mint(
        self,
        user: str,
        organization: str | None,
        role: str | None,
        *,
        session: str | None = None,
        lifetime: float = 86400,
        now: float | None = None,
    ) -> str:
        """A session token of version 2 (clerk.com/docs/guides/sessions/session-tokens) for `lifetime` seconds.

        `now`: seconds since the epoch, by default the machine's clock. Raises `ValueError` for values that a token can't have.
        """
        if not user.startswith("user_") or user == "user_":
            raise ValueError("The user must start with user_ and go on after it.")
        if role is not None and organization is None:
            raise ValueError("A role needs an organization to hold it in.")
        issued_at = int(time.time() if now is None else now)
        claims = {
            "v": 2,
            "iss": self.issuer,
            "sub": user,
            "sid": session or f"sess_{secrets.token_hex(14)}",
            "jti": secrets.token_hex(10),
            "iat": issued_at,
            "nbf": issued_at - 10,  # as Clerk does, for clocks that are a little behind
            "exp": issued_at + int(lifetime),
            "fva": [0, -1],
        }
        if organization is not None:
            claims["o"] = {"id": organization} | ({"rol": role.removeprefix("org:")} if role else {})
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KID, "cat": "cl_B7d4PD111AAA"})


def _load(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} holds no private RSA key; delete it and a new one is made.")  # noqa: TRY004 - a fault of the file
    return key


def _create(path: Path) -> rsa.RSAPrivateKey:
    write_once(path, pem(rsa.generate_private_key(public_exponent=65537, key_size=_BITS)))
    return _load(path)
