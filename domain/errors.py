"""Everything that this service refuses, as one tree.

    ServiceError
    ├── RefusedChange                what was asked for can't be recorded; `details` says why
    │   ├── UnknownNotificationKey
    │   ├── ImmutableNotificationKey
    │   └── ValidationFailed
    ├── MalformedInput               not even readable
    ├── Unauthenticated              nobody we know
    ├── UserRequired                 somebody we know, but no user
    ├── MissingScope                 somebody we know, who may not do this
    ├── NotFound
    ├── PreconditionFailed           the caller's picture of the state is out of date
    ├── BeyondTheEnd                 the caller has read further than the log goes
    ├── RateLimited                  too much, too fast
    ├── ForeignEvent                 what was found is not the reader's: nothing of it is shown
    └── Unavailable                  nothing wrong with the request; try again

A class is one stable `code` that clients branch on and one `message` that people read. What must not leave the house
(why a token was refused, what the database said) goes to `reason`, which is logged and never told.
"""

from collections.abc import Mapping
from typing import ClassVar


class ServiceError(Exception):
    """The root. `details` maps a field's dotted path to a lower-case phrase; it is empty unless a field is at fault."""

    code: ClassVar[str]
    message: ClassVar[str]

    def __init__(self, reason: str = "", *, details: Mapping[str, str] | None = None) -> None:
        super().__init__(reason or self.message)
        self.reason = reason
        self.details: Mapping[str, str] = details or {}


class RefusedChange(ServiceError):
    """A change that is readable but can't be recorded. Nothing of it is applied."""


class UnknownNotificationKey(RefusedChange):
    code = "UNKNOWN_NOTIFICATION_KEY"
    message = "unknown notification key"


class ImmutableNotificationKey(RefusedChange):
    code = "IMMUTABLE_NOTIFICATION_KEY"
    message = "immutable notification key"


class ValidationFailed(RefusedChange):
    code = "VALIDATION_FAILED"
    message = "validation failed"


class MalformedInput(ServiceError):
    code = "INVALID_INPUT"
    message = "malformed JSON"


class Unauthenticated(ServiceError):
    """`token_sent` tells a caller without credentials (False) from one with bad ones (RFC 6750, section 3.1)."""

    code = "UNAUTHORIZED"
    message = "authentication failed"

    def __init__(self, reason: str = "", *, token_sent: bool = True) -> None:
        super().__init__(reason)
        self.token_sent = token_sent


class UserRequired(ServiceError):
    code = "USER_REQUIRED"
    message = "endpoint requires a user session"


class MissingScope(ServiceError):
    code = "FORBIDDEN"
    message = "missing required scope"


class NotFound(ServiceError):
    code = "NOT_FOUND"
    message = "not found"


class PreconditionFailed(ServiceError):
    code = "PRECONDITION_FAILED"
    message = "preferences have changed"


class BeyondTheEnd(ServiceError):
    """A reader asked for what is behind a position that the log, which ends at `end`, hasn't reached. The log has lost its end, or it
    isn't the one that the position is from."""

    code = "BEYOND_THE_END"
    message = "position is beyond the end of the log"

    def __init__(self, end: int) -> None:
        super().__init__(details={"after": f"the log ends at position {end}"})


class RateLimited(ServiceError):
    """`retry_after`: whole seconds until the next attempt can succeed, at least 1."""

    code = "RATE_LIMITED"
    message = "rate limited"

    def __init__(self, reason: str = "", *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ForeignEvent(ServiceError):
    """An index or a row led to an event that is not the reader's. The reason names both sides, for the log alone."""

    code = "INTERNAL"
    message = "internal error"


class Unavailable(ServiceError):
    """`retry_after`: whole seconds after which it is worth trying again, at least 1."""

    code = "UNAVAILABLE"
    message = "temporarily unavailable"

    def __init__(self, reason: str = "", *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
