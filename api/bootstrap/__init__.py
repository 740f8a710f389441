"""The composition root: the one place where real things are made and wired together.

service      one server process; uvicorn imports it by its name
worker       the same, as one of several
feeds        the feed of events, as a server process offers it
databases    the database that commands work on: running, migrated, opened
catalogues   the catalogue: published, compared, looked at
identities   what session tokens are verified with
followers    what follows the log
replays      the log, replayed into files or a stream
replay_form  the forms that it is replayed into
audit        the audit log, and the record of who reads it
erasure      erasing a person
relay        what hands events on, and the broker
decisions    decisions, verified afterwards
checks       what `preferences check` looks at
person_keys  the keys under which the log says who acted: tried, and set right
evidence     checkpoints of the log, and what holds the log to them
sweep        what holds everything against the log, slowly
clock        the time, for all of them
errors       what the command line shows as one sentence

Each module is imported when a command first asks for it: a command loads what it uses, and `--help` loads none of them.
"""

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.bootstrap import (
        audit,
        catalogues,
        checks,
        databases,
        decisions,
        erasure,
        errors,
        evidence,
        followers,
        identities,
        person_keys,
        relay,
        replay_form,
        replays,
        service,
        sweep,
    )
    from infrastructure.audit.reads import ListedReading as ListedReading
    from infrastructure.identity.api_keys import ListedKey as ListedKey
    from infrastructure.settings import Settings as Settings

__all__ = [
    "audit",
    "catalogues",
    "checks",
    "databases",
    "decisions",
    "erasure",
    "errors",
    "evidence",
    "followers",
    "identities",
    "person_keys",
    "relay",
    "replay_form",
    "replays",
    "service",
    "sweep",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def settings() -> "Settings":
    from infrastructure.settings import Settings

    return Settings.from_environment()


def configure_command_logs() -> None:
    """Before a command begins, also one that needs no settings: what is logged goes to standard error."""
    from infrastructure import logs

    logs.configure_command(logs.level_of(os.environ))


def configure_logs(settings: "Settings") -> None:
    from infrastructure import logs

    logs.configure(settings.log_level)
