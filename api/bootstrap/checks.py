"""What `preferences check` looks at."""

import asyncio
from collections.abc import Iterator
from typing import TypeAlias

import psycopg

from api.bootstrap import catalogues
from api.bootstrap.databases import running_database
from api.bootstrap.evidence import checkpoint_fault
from api.bootstrap.identities import signing_keys
from domain.catalogue import CATALOGUE
from domain.errors import ServiceError
from infrastructure import logs
from infrastructure.embedded.postgres import EmbeddedPostgresError
from infrastructure.identity.key_set import SigningKeys
from infrastructure.log import sequence
from infrastructure.postgres import migrations, schema, suitability
from infrastructure.settings import Settings, SettingsError

Finding: TypeAlias = tuple[str, str, bool]
"""A subject, what was found, and whether that is wrong."""


def findings() -> Iterator[Finding]:
    """All that `serve` and `follow` need, each without changing anything."""
    try:
        of = Settings.from_environment()
    except SettingsError as error:
        yield "settings", str(error).replace("\n", "; "), True
        return
    yield "settings", "development mode" if of.development else f"issuer {of.clerk_issuer}", False
    try:
        with running_database(of) as url:
            yield from _of_the_database(of, url)
    except (psycopg.Error, ServiceError, EmbeddedPostgresError) as error:
        yield "database", " ".join(str(error).split()), True
    logs.configure("error")  # that a fetch failed is said below
    try:
        ready = asyncio.run(_fetch_keys(signing_keys(of)))
        yield "key set", "usable" if ready else f"no usable key at {of.jwks_url}", not ready
    except (SettingsError, OSError) as error:
        yield "key set", str(error), True


def _of_the_database(of: Settings, url: str) -> Iterator[Finding]:
    server = suitability.look_at(url, trusted=of.database_storage == "durable")
    yield "database", f"PostgreSQL {server.version}", False
    for fault in server.faults:
        yield "database", fault.sentence, True
    if any(fault.weight is suitability.Weight.ALL for fault in server.faults):
        return
    pending = migrations.status(url)
    yield "migrations", pending or "up to date", bool(pending)
    if pending:
        yield "catalogue", "unknown before the migrations are applied", True
        return
    if (behind := sequence.behind(url)) is not None:
        end, at = behind
        note = f"the sequence stands at {at} and the log ends at {end}: harmless; `preferences migrate` sets it forward"
        yield "positions", note, False
    differing = schema.differences(url)
    for difference in differing:
        yield "schema", difference, True
    if not differing:
        yield "schema", "as the migrations make it", False
    wrong = asyncio.run(catalogues.verdict(url))
    yield "catalogue", wrong or f"version {CATALOGUE.version} is published", bool(wrong)
    if of.checkpoint_interval:
        wrong = checkpoint_fault(of, url)
        yield "checkpoints", wrong or f"can be signed, and go to {of.published_checkpoints}", bool(wrong)


async def _fetch_keys(keys: SigningKeys) -> bool:
    await keys.start()
    try:
        return keys.ready()
    finally:
        await keys.close()
