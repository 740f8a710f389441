"""The errors that an operator can do something about."""

from typing import Final

import psycopg

from application.bundle import BadBundle
from application.evidence import Contradiction
from application.followers import CannotReset
from application.foreign_checkpoint import ForeignCheckpoint
from application.ports import UnreadableEvent
from application.rebuild import BrokenStream
from application.replay import ReplayRefused
from domain.errors import ServiceError
from domain.published_catalogues import CatalogueRefused
from infrastructure.embedded_postgres import EmbeddedPostgresError
from infrastructure.key_copy import NotACopy
from infrastructure.migrations import MigrationError
from infrastructure.nats_server import NatsServerError
from infrastructure.settings import SettingsError
from projections.explained_decision import CannotExplain

OPERATOR_ERRORS: Final = (
    SettingsError,
    EmbeddedPostgresError,
    NatsServerError,
    MigrationError,
    CatalogueRefused,
    ServiceError,
    ReplayRefused,
    CannotReset,
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
