"""The checks of `preferences check`."""

import asyncio
from collections.abc import Iterator
from typing import TypeAlias

import psycopg

from api.bootstrap import catalogues
from api.bootstrap.databases import running_database
from api.bootstrap.errors import by_name
from api.bootstrap.evidence import checkpoint_fault
from api.bootstrap.identities import signing_keys
from api.bootstrap.replication import replicated
from api.bootstrap.unsubscribing import links_finding
from domain.catalogue import CATALOGUE
from domain.errors import ServiceError
from infrastructure import logs
from infrastructure.embedded.postgres import EmbeddedPostgresError
from infrastructure.identity.key_set import SigningKeys
from infrastructure.log import sequence
from infrastructure.postgres import migrations, schema, suitability, wal
from infrastructure.settings import Settings, SettingsError

Finding: TypeAlias = tuple[str, str, bool]
"""The subject of a check, the finding, and whether it is a fault."""


def findings() -> Iterator[Finding]:
    """Check everything that `serve` and `follow` need. This changes nothing."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        yield "settings", str(error).replace("\n", "; "), True
        return
    yield "settings", "development mode" if settings.development else f"issuer {settings.clerk_issuer}", False
    yield "unsubscribe", *links_finding(settings)
    try:
        with running_database(settings) as url:
            yield from _of_the_database(settings, url)
    except (psycopg.Error, ServiceError, EmbeddedPostgresError) as error:
        yield "database", _sentence(error), True
    logs.configure("error")  # The finding below reports a failed fetch.
    try:
        ready = asyncio.run(_fetch_keys(signing_keys(settings)))
        yield "key set", "usable" if ready else f"no usable key at {settings.jwks_url}", not ready
    except (SettingsError, OSError) as error:
        yield "key set", str(error), True


def _of_the_database(settings: Settings, url: str) -> Iterator[Finding]:
    server = suitability.look_at(
        url,
        trusted=settings.database_storage == "durable",
        replicated=replicated(settings),
        parts=_parts(settings),
    )
    yield "database", f"PostgreSQL {server.version}", False
    for fault in server.faults:
        yield "database", fault.sentence, True
    if any(fault.weight is suitability.Weight.ALL for fault in server.faults):
        return
    pending = migrations.status(url)
    yield "migrations", pending or "up to date", bool(pending)
    # Migrations are applied only after this, so what doesn't need the new schema is checked without it, too.
    if not pending:
        yield from _told("positions", _of_the_sequence(url))
        yield from _told("schema", _of_the_schema(url))
    if settings.read_database_url is not None:
        yield from _told("replica", _of_the_replica(url, settings.read_database_url, settings.read_lag_limit))
    yield from _told("catalogue", _of_the_catalogue(url))
    if settings.checkpoint_interval:
        yield from _told("checkpoints", _of_the_checkpoints(settings, url))


def _told(subject: str, findings: Iterator[tuple[str, bool]]) -> Iterator[Finding]:
    """The findings of a check, also of one that fails, so that the others follow."""
    try:
        for finding in findings:
            yield subject, *finding
    except psycopg.errors.UndefinedTable:
        yield subject, "unknown before the migrations are applied", True
    except (psycopg.Error, ServiceError) as error:
        yield subject, _sentence(error), True


def _sentence(error: Exception) -> str:
    return " ".join(str(by_name(error)).split())


def _parts(settings: Settings) -> list[str]:
    """What `serve` does with the role of these settings."""
    if not settings.followers:
        return ["serve"]
    signs, sweeps = bool(settings.checkpoint_interval), bool(settings.sweep_within)
    return ["serve", "follow", *["sign"] * signs, *["sweep"] * sweeps]


def _of_the_sequence(url: str) -> Iterator[tuple[str, bool]]:
    if (behind := sequence.behind(url)) is not None:
        end, at = behind
        note = f"the sequence stands at {at} and the log ends at {end}: harmless; `preferences migrate` sets it forward"
        yield note, False


def _of_the_schema(url: str) -> Iterator[tuple[str, bool]]:
    differing = schema.differences(url)
    for difference in differing:
        yield difference, True
    if not differing:
        yield "as the migrations make it", False


def _of_the_replica(url: str, standby: str, limit: float) -> Iterator[tuple[str, bool]]:
    if wrong := wal.unreachable(standby) or wal.shortfall(url, standby, limit):
        yield f"reads go to the primary: {wrong}", True
    elif tables := wal.unreadable(standby):
        yield f"its role may not read {tables}", True
    else:
        yield "has all that the primary has", False


def _of_the_catalogue(url: str) -> Iterator[tuple[str, bool]]:
    wrong = asyncio.run(catalogues.verdict(url))
    yield wrong or f"version {CATALOGUE.version} is published", bool(wrong)


def _of_the_checkpoints(settings: Settings, url: str) -> Iterator[tuple[str, bool]]:
    wrong = checkpoint_fault(settings, url)
    yield wrong or f"can be signed, and go to {settings.published_checkpoints}", bool(wrong)


async def _fetch_keys(keys: SigningKeys) -> bool:
    await keys.start()
    try:
        return keys.ready()
    finally:
        await keys.close()
