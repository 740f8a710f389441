"""What the web layer is given. Everything real is made in the composition root and handed down through here."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Metric

from api.feed.answers import FeedAnswers
from api.http.authentication import Authenticator
from api.http.rate_limit import RateLimit
from application.audit.log import AuditLog
from application.audit.users import Users
from application.decisions import Decisions
from application.evidence.signing import SigningStatus
from application.evidence.sweep import SweepStatus
from application.followers import FollowerStatus
from application.preferences.history import History
from application.preferences.preferences import Preferences
from application.vocabulary import Published
from domain.catalogue import Catalogue
from domain.continued_log import Moves

Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""What the service depends on, each with what is wrong with it, or None where nothing is."""

FollowerStatuses = Callable[[], Awaitable[list[FollowerStatus]]]
"""How far those are that follow the log. Raises `Unavailable`."""

Counted = Callable[[], Iterable[Metric]]
"""What this process counted, other than its requests."""

Swept = Callable[[], Awaitable[SweepStatus]]
"""How far the sweep is, and what it found. Raises `Unavailable`."""

LogMoves = Callable[[], Awaitable[Moves]]
"""Whether, and where, the log was continued on another server. Raises `Unavailable`."""

Signing = Callable[[], Awaitable[SigningStatus]]
"""How far the log is signed. Raises `Unavailable`."""

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""The time in which the services can be used."""


@dataclass(frozen=True, slots=True)
class Services:
    catalogue: Catalogue
    published: Published
    authenticator: Authenticator
    preferences: Preferences
    decisions: Decisions
    history: History
    users: Users
    audit_log: AuditLog
    feed: FeedAnswers
    readiness: Readiness
    followers: FollowerStatuses
    counted: Counted
    swept: Swept
    moves: LogMoves
    signing: Signing
    rate_limit: RateLimit
    clock: Callable[[], datetime]
    clock_offset: Callable[[], float | None]
    """Seconds by which the machine's own clock is ahead of the database's; None where that isn't known."""
