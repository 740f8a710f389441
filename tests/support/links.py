"""Unsubscribe links of the shared service: the key that seals them, and the address that they begin with."""

from base64 import b64encode

from infrastructure.unsubscribe.link_key import LinkKey
from infrastructure.unsubscribe.sealed_tokens import SealedTokens

SECRET = b64encode(bytes(range(32))).decode()
FORMER_SECRET = b64encode(bytes(range(32, 64))).decode()
PUBLIC_URL = "https://mail.example.com/preferences"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
"""The body that a mail provider sends."""


def token(
    user: str = "user_ada",
    organization: str | None = "org_math",
    path: str = "email.product_updates",
    *,
    secret: str = SECRET,
) -> str:
    [made] = SealedTokens([LinkKey.parse(secret)]).make(organization, path, [user])
    return made


def link(*arguments: str | None, **named: str) -> str:
    """The path of a link, below the service's root."""
    return f"/unsubscribe/{token(*arguments, **named)}"
