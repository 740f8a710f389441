"""Session tokens for tests that go over HTTP: signed with a key of our own, which the server is given as its PEM."""

import json
import time
from base64 import b64encode
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://clerk.test.example"
PUBLISHABLE_KEY = "pk_test_" + b64encode(f"{urlsplit(ISSUER).hostname}$".encode()).decode()


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def public_pem() -> str:
    return private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def session_token(
    user: str = "user_ada", organization: str | None = "org_math", *, role: str = "member", **claims: Any
) -> str:
    """A valid v2 token; `claims` are added, or replace those of the same name.

    It is valid for a day: modules make tokens when they are imported, and a slow machine takes long for all tests. Within a minute the
    same token comes again, because a signature takes a millisecond, and tests send ten thousands of requests.
    """
    now = int(time.time())
    payload: dict[str, Any] = {
        "v": 2,
        "iss": ISSUER,
        "sub": user,
        "sid": f"sess_{user}",
        "iat": now - now % 60,
        "nbf": now - now % 60 - 10,
        "exp": now - now % 60 + 24 * 3600,
        **claims,
    }
    if organization is not None:
        payload["o"] = {"id": organization, "rol": role}
    return _signed(json.dumps(payload))


@lru_cache(maxsize=1_000)
def _signed(payload: str) -> str:
    headers = {"kid": "test", "cat": "cl_B7d4PD111AAA"}
    return jwt.encode(json.loads(payload), private_key(), algorithm="RS256", headers=headers)


def bearer(*arguments: Any, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {session_token(*arguments, **claims)}"}
