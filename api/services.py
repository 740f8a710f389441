"""The services that the web layer uses. `api/bootstrap/service.py` makes them and passes them in here."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Metric

from api.http.authentication import Authenticator
from api.http.rate_limit import RateLimit
from application.audit.evidence import UserEvidence
from application.audit.log import AuditLog
from application.audit.reads import RecordOfReading
from application.audit.summary import AuditSummary
from application.audit.users import Users
from application.decisions import Decisions
from application.evidence.checkpoints import SigningStatus
from application.evidence.sweep import SweepStatus
from application.feed.feed import EventFeed
from application.feed.live_feed import LiveFeed
from application.followers import FollowerStatus
from application.log import Replication
from application.preferences.history import History
from application.preferences.preferences import Preferences
from application.unsubscribing import Unsubscribing
from application.vocabulary import Published
from domain.catalogue import Catalogue
from domain.continued_log import ContinuationSummary

Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""The dependencies of the service, each with its fault, or None if it has none."""

FollowerStatuses = Callable[[], Awaitable[list[FollowerStatus]]]
"""How far the followers of the log are. Raises `Unavailable`."""

Counted = Callable[[], Iterable[Metric]]
"""The metrics of this process, apart from its requests."""

Swept = Callable[[], Awaitable[SweepStatus]]
"""How far the sweep is, and what it found. Raises `Unavailable`."""

LogContinuations = Callable[[], Awaitable[ContinuationSummary]]
"""Whether, and where, the log was continued on another server. Raises `Unavailable`."""

Signing = Callable[[], Awaitable[SigningStatus]]
"""How far the log is signed. Raises `Unavailable`."""

ReplicationStatus = Callable[[], Awaitable[Replication | None]]
"""What synchronous standbys have confirmed; None if readers don't wait for them. Raises `Unavailable`."""

MakeSession = Callable[[str, str | None, str | None], Awaitable[tuple[str, datetime]]]
"""A session token for a user, an organization and a role, and when it expires. Raises `ValueError` for values that a token can't have."""

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""The context in which the services can be used."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a person signs in on the pages. Only development mode has `development`.

    `front_end` is the origin from which the pages load Clerk's script, and `publishable_key` names Clerk's instance to it.
    `audit_role` is a role with `audit:read`, if there is one.
    """

    development: MakeSession | None = None
    publishable_key: str | None = None
    front_end: str | None = None
    audit_role: str | None = None

    @property
    def possible(self) -> bool:
        """Whether people can sign in on the pages at all."""
        return self.development is not None or self.publishable_key is not None


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
    evidence: UserEvidence
    reads: RecordOfReading
    audit_summary: AuditSummary
    feed: EventFeed
    live_feed: LiveFeed
    feed_heartbeat: float
    """Seconds after which a reader of the live feed gets a message even if there are no new events."""
    feed_send_within: float
    """Seconds within which a reader of the feed must take each piece of the answer."""
    readiness: Readiness
    followers: FollowerStatuses
    counted: Counted
    checkpoint_interval: float
    sweep_within: float
    """Seconds, as the settings of the same names say. Alarms compare what they measure with them."""
    build: Mapping[str, str]
    """The version of this service, and of what it is made with."""
    swept: Swept
    continuations: LogContinuations
    signing: Signing
    replication: ReplicationStatus
    rate_limit: RateLimit
    unsubscribing: Unsubscribing
    unsubscribe_rate_limit: RateLimit
    clock: Callable[[], datetime]
    clock_offset: Callable[[], float | None]
    """Seconds by which this machine's clock is ahead of the database's; None if that isn't known."""
    sign_in: SignIn = SignIn()
