"""The composition root: the one place where real things are made and wired together.

service      one server process; not imported here, since commands other than `serve` need no web framework
feeds        the feed of events, as a server process offers it; not imported here either
databases    the database that commands work on: running, migrated, opened
catalogues   the catalogue: published, compared, looked at
identities   what session tokens are verified with
followers    what follows the log
replays      the log, replayed into files or a stream
audit        the audit log, and the record of who reads it
erasure      erasing a person
relay        what hands events on, and the broker
decisions    decisions, verified afterwards
checks       what `preferences check` looks at
person_keys  the keys under which the log says who acted: tried, and set right
evidence     checkpoints of the log, and what holds the log to them
sweep        what holds everything against the log, slowly
clock        the time, for all of them
"""

from typing import Final

import psycopg

from api.bootstrap.audit import OPERATOR, OpenedAudit, open_audit, record_reading
from api.bootstrap.catalogues import ever_known, impact, published
from api.bootstrap.checks import findings
from api.bootstrap.clock import now
from api.bootstrap.databases import (
    compare_audit_index,
    migrate,
    migrated_database,
    open_api_keys,
    open_store,
    rebuild,
    running_database,
)
from api.bootstrap.decisions import explain
from api.bootstrap.erasure import erase
from api.bootstrap.evidence import bundle, checkpoint, checkpoint_regularly, public_key, verify, verify_bundle
from api.bootstrap.followers import Followers, open_followers, registered, run_followers
from api.bootstrap.identities import development_token, signing_keys
from api.bootstrap.person_keys import check as check_person_keys
from api.bootstrap.person_keys import repair as repair_person_keys
from api.bootstrap.relay import relaying, run_relay
from api.bootstrap.replays import Form, replay_destination, replay_into, replay_selection
from api.bootstrap.sweep import check_beside, sweep_now, sweep_regularly, swept
from application.bundle import BadBundle
from application.evidence import Contradiction
from application.followers import CannotReset
from application.foreign_checkpoint import ForeignCheckpoint
from application.ports import UnreadableEvent
from application.publishing import Impact
from application.rebuild import BrokenStream, RebuildResult
from application.replay import Replayed, ReplayRefused
from application.verification import Verdict
from domain.catalogue_difference import Alteration
from domain.errors import ServiceError
from domain.published_catalogues import CatalogueRefused
from infrastructure import logs
from infrastructure.api_keys import ListedKey
from infrastructure.audit_reads import ListedReading
from infrastructure.embedded_postgres import EmbeddedPostgresError
from infrastructure.key_copy import NotACopy
from infrastructure.migrations import MigrationError
from infrastructure.nats_server import NatsServerError
from infrastructure.settings import Settings, SettingsError
from projections.explained_decision import CannotExplain

__all__ = [
    "OPERATOR",
    "OPERATOR_ERRORS",
    "Alteration",
    "Followers",
    "Form",
    "Impact",
    "ListedKey",
    "ListedReading",
    "OpenedAudit",
    "RebuildResult",
    "Replayed",
    "Settings",
    "Verdict",
    "bundle",
    "check_beside",
    "check_person_keys",
    "checkpoint",
    "checkpoint_regularly",
    "compare_audit_index",
    "configure_logs",
    "development_token",
    "erase",
    "ever_known",
    "explain",
    "findings",
    "impact",
    "migrate",
    "migrated_database",
    "now",
    "open_api_keys",
    "open_audit",
    "open_followers",
    "open_store",
    "public_key",
    "published",
    "rebuild",
    "record_reading",
    "registered",
    "relaying",
    "repair_person_keys",
    "replay_destination",
    "replay_into",
    "replay_selection",
    "run_followers",
    "run_relay",
    "running_database",
    "settings",
    "signing_keys",
    "sweep_now",
    "sweep_regularly",
    "swept",
    "verify",
    "verify_bundle",
]

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
"""What an operator can do something about. The command line shows them as one sentence, without a traceback."""


def settings() -> Settings:
    return Settings.from_environment()


def configure_logs(of: Settings) -> None:
    logs.configure(of.log_level)
