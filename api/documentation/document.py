"""The OpenAPI document as a whole: the parts that don't belong to a single operation."""

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.documentation.components import components
from api.http.errors import HeadersTooLarge, MethodNotAllowed, RequestTimeout
from api.schemas import Json, failure
from domain.catalogue import Catalogue
from domain.errors import NotFound

# Relative to the document's own address, so that it is also right behind a proxy that serves the API under a prefix.
SERVERS: Final[list[Json]] = [{"url": ".", "description": "The service that this description was read from."}]

CONTACT: Final[Json] = {"name": "The operator of this service"}
LICENSE: Final[Json] = {"name": "No licence is granted", "identifier": "NONE"}

OVERVIEW: Final = """\
Which e-mails a user gets, chosen by the user, per organization. Only explicit choices are stored; every answer is resolved,
with defaults filled in. Each change is kept for ever as an event that says who made it, when and from where.

Every response carries `X-Request-Id`. Errors have one shape: a stable `code`, a `message` for people, and `details` where a
field is at fault. An answer may get new fields at any time: ignore those that you don't know. A path that is not described
here answers 404 `NOT_FOUND`; a method that its path does not know, 405 `METHOD_NOT_ALLOWED` with `Allow`.
"""

TAGS: Final[list[Json]] = [
    {"name": "Preferences", "description": "A user's own notification preferences, and their history."},
    {"name": "Evidence", "description": "What the users of an organization were subscribed to, when, and why."},
    {"name": "Events", "description": "For machines: every change since the beginning, in order, and each new one."},
    {"name": "Decisions", "description": "For senders: who may be written to, with what proves it later."},
    {"name": "Operations", "description": "For those who run the service."},
]

SECURITY_SCHEMES: Final[Json] = {
    "clerkJWT": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A Clerk session token of a signed-in user. Preferences are those of the user in the token's "
        "active organization; a token without one has a scope of its own. What else a user may read of the active "
        "organization depends on the user's role (setting `ROLE_SCOPES`; `audit:read` for an `admin` by default).",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "am_live_ and 36 characters",
        "description": "A key of an organization, or of the platform, which belongs to none. It may do what its scopes say, "
        "and is refused wherever a user's own preferences are meant.",
    },
}


def document(app: FastAPI, catalogue: Catalogue) -> Json:
    """The OpenAPI document of the application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=OVERVIEW,
        tags=TAGS,
        routes=app.routes,
        servers=SERVERS,
        contact=CONTACT,
        license_info=LICENSE,
    )
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    document["components"]["schemas"] |= components(catalogue)
    # The answers that belong to no single operation. Each says when a caller gets it.
    shared = (NotFound, MethodNotAllowed, RequestTimeout, HeadersTooLarge)
    document["components"]["responses"] = {error.__name__: failure(error) for error in shared}
    return document
