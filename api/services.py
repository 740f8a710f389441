"""What the web layer is given. Everything real is made in the composition root and handed down through here."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Metric

from api.authentication import Authenticator
from api.feed_answers import FeedAnswers
from api.rate_limit import RateLimit
from application.audit_log import AuditLog
from application.decisions import Decisions
from application.followers import FollowerStatus
from application.history import History
from application.preferences import Preferences
from application.sweep import SweepStatus
from application.users import Users
from application.vocabulary import Published
from domain.catalogue import Catalogue

Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""What the service depends on, each with what is wrong with it, or None where nothing is."""

FollowerStatuses = Callable[[], Awaitable[list[FollowerStatus]]]
"""How far those are that follow the log. Raises `Unavailable`."""

Counted = Callable[[], Iterable[Metric]]
"""What this process counted, other than its requests."""

Swept = Callable[[], Awaitable[SweepStatus]]
"""How far the sweep is, and what it found. Raises `Unavailable`."""

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
    rate_limit: RateLimit
    clock: Callable[[], datetime]
