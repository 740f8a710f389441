"""The errors that an operator can do something about."""

from typing import Final

import psycopg

from application.demo.filling import DemoRefused
from application.evidence.bundle import BadBundle
from application.evidence.checkpoints import Contradiction
from application.evidence.foreign_checkpoint import ForeignCheckpoint
from application.feed.replay import ReplayRefused
from application.followers import CannotReset
from application.log import BrokenStream, UnreadableEvent
from domain.errors import ServiceError
from domain.published_catalogues import CatalogueRefused
from infrastructure.embedded.nats_server import NatsServerError
from infrastructure.embedded.postgres import EmbeddedPostgresError
from infrastructure.erasure.key_copy import NotACopy
from infrastructure.log.partitions import CannotPartition
from infrastructure.postgres.connection import LoginRefused, RightMissing, translated
from infrastructure.postgres.migrations import MigrationError
from infrastructure.settings import SettingsError
from projections.explained_decision import CannotExplain

OPERATOR_ERRORS: Final = (
    SettingsError,
    EmbeddedPostgresError,
    NatsServerError,
    MigrationError,
    CannotPartition,
    CatalogueRefused,
    ServiceError,
    ReplayRefused,
    CannotReset,
    DemoRefused,
    BrokenStream,
    BadBundle,
    NotACopy,
    Contradiction,
    ForeignCheckpoint,
    CannotExplain,
    UnreadableEvent,
    psycopg.Error,
    OSError,
)
"""What an operator can do something about. The command line shows each as one sentence, without a traceback."""


def by_name(error: Exception) -> Exception:
    """Our own error, if PostgreSQL refuses the role a login or a right: its sentence says so, in one line. Otherwise the error itself."""
    ours = translated(error) if isinstance(error, psycopg.Error) else error
    return ours if isinstance(ours, LoginRefused | RightMissing) else error
