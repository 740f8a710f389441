"""Signing in on a page: what its script `session.js` must know, and tokens for development mode."""

from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.types import Scope

from api.http.answer import JSON, Answer, success
from api.http.body import read_body
from api.http.entity_tags import condition
from api.http.instants import shown
from api.http.json_body import parse
from api.pages.page import Markup, markup
from api.services import Services, SignIn
from domain.errors import ServiceError, ValidationFailed

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
FIELDS: Final = ("user", "organization", "role")


class ForeignPage(ServiceError):
    """The request doesn't come from a page of this service."""

    code = "FORBIDDEN"
    message = "only a page of this service may ask"


def described(sign_in: SignIn, root: str = "", *, auditor: bool = False) -> Markup:
    """The part of a page's head that tells `session.js` how to sign in. `auditor`: the page is of no use without `audit:read`."""
    if sign_in.development is not None:
        way, key = "development", ""
    elif sign_in.publishable_key is not None:
        way, key = "clerk", sign_in.publishable_key
    else:
        way, key = "none", ""
    return markup(
        '<meta name="sign-in" content="{way}" data-root="{root}" data-key="{key}" data-front-end="{front_end}" '
        'data-audit-role="{role}" data-auditor="{auditor}">\n',
        way=way,
        root=root or "./",
        key=key,
        front_end=sign_in.front_end or "",
        role=sign_in.audit_role or "",
        auditor="yes" if auditor else "",
    )


def add(app: FastAPI, services: Services) -> None:
    make = services.sign_in.development
    if make is None:
        return

    @app.post("/development/session", include_in_schema=False)
    async def development_session(request: Request) -> Answer:
        """A token for any user, organization and role."""
        if not _from_own_page(request.scope):
            raise ForeignPage
        user, organization, role = _asked(parse(await read_body(request.scope, request.receive)))
        try:
            token, expires_at = await make(user or "", organization, role)
        except ValueError as error:
            raise ValidationFailed(details={"user": str(error)}) from None
        body = success({"token": token, "expires_at": shown(expires_at)})
        return Answer(200, body, (JSON, (b"cache-control", b"no-store")))


def _from_own_page(scope: Scope) -> bool:
    """Whether the page that asks was loaded from this machine, and from the very place that it asks.

    A browser sends `Origin` with every POST, and no script can change it. A foreign page whose name leads to this machine (DNS rebinding)
    has that name there, so only names of the loopback interface are accepted. `Sec-Fetch-Site` compares the two places. A browser without
    it is judged by `Host`, which a proxy may change.
    """
    origin, site = condition(scope, b"origin"), condition(scope, b"sec-fetch-site")
    try:
        asking = urlsplit((origin or b"").decode("latin-1"))
        local = asking.hostname in LOOPBACK
    except ValueError:
        return False
    if site is not None:
        return local and site == b"same-origin"
    return local and asking.netloc.encode("latin-1") == condition(scope, b"host")


def _asked(document: Any) -> tuple[str | None, str | None, str | None]:
    """The user, the organization and the role. An empty text counts as absent. Raises `ValidationFailed`."""
    if not isinstance(document, dict):
        raise ValidationFailed(details={"body": "must be an object"})
    faults = {name: "unknown field" for name in document if name not in FIELDS}
    given = {name: document.get(name) for name in FIELDS}
    faults |= {
        name: "must be a string" for name, value in given.items() if value is not None and not isinstance(value, str)
    }
    if faults:
        raise ValidationFailed(details=faults)
    user, organization, role = (given[name] or None for name in FIELDS)
    return user, organization, role
