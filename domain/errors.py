"""Every error with which this service refuses a request, as one tree.

    ServiceError
    ├── RefusedChange                the change can't be recorded; `details` says why
    │   ├── UnknownNotificationKey
    │   ├── ImmutableNotificationKey
    │   └── ValidationFailed
    ├── MalformedInput               the body can't be read
    ├── Unauthenticated              the caller is not known
    ├── UserRequired                 the caller is known but is not a user
    ├── MissingScope                 the caller is known but may not do this
    ├── NotFound
    ├── PreconditionFailed           the caller's copy of the state is out of date
    ├── BeyondTheEnd                 the caller has read further than the log goes
    ├── RateLimited                  the caller sends too many requests
    ├── ForeignEvent                 an event was found that is not the reader's: nothing of it is shown
    └── Unavailable                  the request is fine; try again

Each class has one stable `code`, on which clients branch, and one `message` for people. Details that must stay inside (why a token was
refused, the database's error) go to `reason`, which is logged and never sent to the caller.
"""

from collections.abc import Mapping
from typing import ClassVar


class ServiceError(Exception):
    """The root. `details` maps a field's dotted path to a lower-case phrase. It is empty unless a field is at fault."""

    code: ClassVar[str]
    message: ClassVar[str]

    def __init__(self, reason: str = "", *, details: Mapping[str, str] | None = None) -> None:
        super().__init__(reason or self.message)
        self.reason = reason
        self.details: Mapping[str, str] = details or {}


class RefusedChange(ServiceError):
    """The change can be read but not recorded. No part of it is applied."""


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
    """`token_sent` is False for a caller without credentials, True for one with bad credentials (RFC 6750, section 3.1)."""

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
    """A reader asked for events after a position that the log has not reached. The log ends at `end`. Either the log lost its end, or the
    position comes from another log.
    """

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
    """An index or a row led to an event that is not the reader's. The reason names both sides; only the service's own log shows it."""

    code = "INTERNAL"
    message = "internal error"


class Unavailable(ServiceError):
    """`retry_after`: whole seconds after which a new attempt is worthwhile, at least 1."""

    code = "UNAVAILABLE"
    message = "temporarily unavailable"

    def __init__(self, reason: str = "", *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
