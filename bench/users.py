"""The users of the load, each with a session token of the issuer that the servers under test are told to trust."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://clerk.bench.example"
LIFETIME = 24 * 3600
"""Seconds: longer than any run."""


@dataclass(frozen=True)
class User:
    organization: str
    name: str


class Issuer:
    """Signs tokens the way Clerk does (RS256, version 2 of the claims)."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_pem(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, user: User) -> str:
        now = int(time.time())
        claims = {
            "v": 2,
            "iss": ISSUER,
            "azp": "https://app.bench.example",
            "sub": user.name,
            "sid": f"sess_{user.name}",
            "jti": f"jti_{user.name}",
            "fva": [0, -1],
            "sts": "active",
            "iat": now,
            "nbf": now - 10,
            "exp": now + LIFETIME,
            "o": {"id": user.organization, "slg": user.organization.lower(), "rol": "member"},
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "ins_bench", "cat": "cl_B7d4PD111AAA"})


@dataclass(frozen=True)
class Users:
    """In the order in which they take turns; `tokens` is the file that the load reads."""

    users: Sequence[User]
    tokens: Path

    @classmethod
    def make(cls, users: Sequence[User], issuer: Issuer, tokens: Path) -> Self:
        with tokens.open("w") as file:
            file.writelines(f"{issuer.token(user)}\n" for user in users)
        return cls(users, tokens)

    @property
    def a_token(self) -> str:
        with self.tokens.open() as file:
            return file.readline().strip()

    def __len__(self) -> int:
        return len(self.users)


def numbered(number: int) -> User:
    """The user of this number; 40 share an organization. Names are as long as Clerk's are."""
    return User(f"org_2bench{number // 40:017}", f"user_2bench{number:016}")
