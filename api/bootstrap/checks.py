"""What `preferences check` looks at."""

import asyncio
from collections.abc import Iterator

import psycopg

from api.bootstrap import catalogues
from api.bootstrap.databases import running_database
from api.bootstrap.identities import signing_keys
from domain.catalogue import CATALOGUE
from domain.errors import ServiceError
from infrastructure import logs, migrations, sequence
from infrastructure.embedded_postgres import EmbeddedPostgresError
from infrastructure.key_set import SigningKeys
from infrastructure.settings import Settings, SettingsError


def findings() -> Iterator[tuple[str, str, bool]]:
    """Each subject, what was found, and whether that is wrong."""
    try:
        of = Settings.from_environment()
    except SettingsError as error:
        yield "settings", str(error).replace("\n", "; "), True
        return
    yield "settings", "development mode" if of.development else f"issuer {of.clerk_issuer}", False
    try:
        with running_database(of) as url:
            with psycopg.connect(url, connect_timeout=5) as connection:
                version = connection.info.server_version
            yield "database", f"PostgreSQL {version // 10000}.{version % 10000}", False
            wrong = migrations.status(url)
            yield "migrations", wrong or "up to date", bool(wrong)
            if not wrong and (found := sequence.behind(url)) is not None:
                end, at = found
                note = f"the sequence stands at {at} and the log ends at {end}: harmless; `preferences migrate` sets it forward"
                yield "positions", note, False
            wrong = "unknown before the migrations are applied" if wrong else asyncio.run(catalogues.verdict(url))
            yield "catalogue", wrong or f"version {CATALOGUE.version} is published", bool(wrong)
    except (psycopg.Error, ServiceError, EmbeddedPostgresError) as error:
        yield "database", " ".join(str(error).split()), True
    logs.configure("error")  # that a fetch failed is said below
    try:
        ready = asyncio.run(_fetch_keys(signing_keys(of)))
        yield "key set", "usable" if ready else f"no usable key at {of.jwks_url}", not ready
    except (SettingsError, OSError) as error:
        yield "key set", str(error), True


async def _fetch_keys(keys: SigningKeys) -> bool:
    await keys.start()
    try:
        return keys.ready()
    finally:
        await keys.close()
