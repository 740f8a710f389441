"""The composition root: only these modules make real objects, and pass them to each other.

service      makes one server process; uvicorn imports it by its name
worker       the same, for one of several workers
feeds        makes the feed of events for a server process
databases    starts and migrates the database that a command works on
rebuilds     rebuilds the current preferences and the audit index
partitions   lists and adds the log's partitions
api_keys     opens the API keys
history      reads the history of a user
operator_database  opens a database with the patience of a person
catalogues   publishes the catalogue, compares and lists catalogues
identities   makes the verification of session tokens
sign_in      lets people sign in on the pages
followers    makes and runs the followers
replays      replays the log into files or a stream
replay_form  lists the forms of a replay
read_replica  lets a server process read from a standby
standby      lets a command read from a standby
audit        opens the audit log, and records who reads it
erasure      erases a person
relay        runs the relay, with a broker of its own in development
decisions    verifies decisions afterwards
checks       makes the checks of `preferences check`
person_keys  checks and repairs the keys of persons
evidence     signs checkpoints, and verifies the log against them
sweep        runs the sweep
tracing      records spans
replication  says whether readers wait for standbys
demo         fills a development database
unsubscribing  wires unsubscribe links
figures      collects the figures of a server process for its metrics
clock        makes the clock of all of them
errors       lists the errors that the command line shows as one sentence

A command imports only the modules that it uses, and `--help` imports none of them.
"""

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.bootstrap import (
        api_keys,
        audit,
        catalogues,
        checks,
        databases,
        decisions,
        demo,
        erasure,
        errors,
        evidence,
        followers,
        history,
        identities,
        partitions,
        person_keys,
        rebuilds,
        relay,
        replay_form,
        replays,
        replication,
        service,
        standby,
        sweep,
        tracing,
        unsubscribing,
    )
    from application.audit.reads import ListedReading as ListedReading
    from infrastructure.identity.api_keys import ListedKey as ListedKey
    from infrastructure.log.partitions import Partition as Partition
    from infrastructure.settings import Settings as Settings

__all__ = [
    "api_keys",
    "audit",
    "catalogues",
    "checks",
    "databases",
    "decisions",
    "demo",
    "erasure",
    "errors",
    "evidence",
    "followers",
    "history",
    "identities",
    "partitions",
    "person_keys",
    "rebuilds",
    "relay",
    "replay_form",
    "replays",
    "replication",
    "service",
    "standby",
    "sweep",
    "tracing",
    "unsubscribing",
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
