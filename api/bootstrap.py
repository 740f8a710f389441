"""The composition root: the one place where real things are made and wired together."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

import psycopg
import structlog
from starlette.types import ASGIApp
from ulid_transform import ulid_now

from api import app, description
from api.authentication import Authenticator
from api.rate_limit import RateLimit
from api.services import Lifespan, Services
from application.history import History
from application.identity import SessionVerifier
from application.preferences import Preferences
from application.rebuild import Progress, Rebuild, RebuildResult
from domain.catalogue import CATALOGUE
from domain.errors import ServiceError, Unauthenticated
from infrastructure import logs, migrations
from infrastructure.api_keys import ListedKey, PostgresApiKeys
from infrastructure.database import Database
from infrastructure.development_keys import DevelopmentKeys
from infrastructure.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.event_store import PostgresPreferencesStore
from infrastructure.key_set import FixedKey, RemoteKeySet, SigningKeys
from infrastructure.session_tokens import ClerkSessions
from infrastructure.settings import Settings, SettingsError
from infrastructure.shadow_table import ShadowTable

OPERATOR_PATIENCE: Final = 15.0
"""Seconds that a person at the command line waits for the database to answer."""

log = structlog.get_logger("service")

__all__ = ["ListedKey", "RebuildResult", "Settings"]  # for the signatures of those who call these functions

OPERATOR_ERRORS: Final = (
    SettingsError,
    EmbeddedPostgresError,
    migrations.MigrationError,
    ServiceError,
    psycopg.Error,
    OSError,
)
"""What an operator can do something about. The command line shows them as one sentence, without a traceback."""


def settings() -> Settings:
    return Settings.from_environment()


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """The URL of the database; where none is configured, of an embedded one that runs as long as the context."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir) as postgres:
        yield postgres.url


@contextmanager
def migrated_database(of: Settings | None = None) -> Iterator[str]:
    """The same, with its schema up to date. Only the embedded one is migrated here: anybody else's is not ours to change.

    Raises `MigrationError` where `preferences migrate` has to be run first.
    """
    of = of or settings()
    with running_database(of) as url:
        if of.database_url is None:
            migrations.migrate(url)
        elif wrong := migrations.status(url):
            raise migrations.MigrationError(f"the database's migrations: {wrong}")
        yield url


async def rebuild(url: str, progress: Progress, *, swap: bool) -> RebuildResult:
    async with ShadowTable.open(url) as shadow:
        return await Rebuild(shadow, progress).run(swap=swap)


def migrate(url: str, report: Callable[[str], None]) -> int:
    """Apply what is pending, reporting each by name; how many there were."""
    return len(migrations.migrate(url, lambda migration: report(f"{migration.number:04}_{migration.name}")))


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[PostgresPreferencesStore]:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        yield PostgresPreferencesStore(database)


@asynccontextmanager
async def open_api_keys(url: str) -> AsyncIterator[PostgresApiKeys]:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        yield PostgresApiKeys(database)


def development_token(of: Settings, user: str, organization: str | None, role: str | None, *, lifetime: float) -> str:
    """A session token for development mode, valid for `lifetime` seconds. Raises `SettingsError` outside of it."""
    if not of.development:
        raise SettingsError("tokens are made by Clerk here: CLERK_ISSUER is set, so this is not development mode")
    try:
        token = DevelopmentKeys(of.data_dir).mint(user, organization, role, lifetime=lifetime)
        asyncio.run(session_verifier(of, signing_keys(of)).verify(token))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except Unauthenticated as error:
        raise SettingsError(f"the service would refuse such a token: {error.reason}") from None
    return token


def openapi_document() -> str:
    """The description that the application serves, in a form that is pleasant to compare. Nothing is started for it."""
    services, lifespan = wire(Settings(database_url="postgresql://unused", clerk_issuer="https://unused.invalid"))
    document = description.document(app.framework(services, lifespan))
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)


def signing_keys(settings: Settings) -> SigningKeys:
    """Where the keys come from that tokens are verified with. Raises `SettingsError` for a key that is none."""
    try:
        if settings.development:
            return FixedKey(DevelopmentKeys(settings.data_dir).public_pem)
        if settings.clerk_jwt_key is not None:
            return FixedKey(settings.clerk_jwt_key)
        return RemoteKeySet(settings.jwks_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def session_verifier(settings: Settings, keys: SigningKeys) -> ClerkSessions:
    issuer = DevelopmentKeys.issuer if settings.development else settings.clerk_issuer
    assert issuer is not None
    return ClerkSessions(keys, issuer=issuer, authorized_parties=settings.clerk_authorized_parties)


def create_app() -> ASGIApp:
    """The application of one server process, from the environment alone. Needs `DATABASE_URL`."""
    of = settings()
    logs.configure(of.log_level)
    return app.create(*wire(of), ulid_now)


def wire(of: Settings) -> tuple[Services, Lifespan]:
    """All that is real, and the time that it lives for. Nothing is connected, fetched or started yet."""
    assert of.database_url is not None
    database = Database(of.database_url)
    keys = signing_keys(of)
    sessions = session_verifier(of, keys)
    store = PostgresPreferencesStore(database)
    preferences = Preferences(store, iter(ulid_now, None))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with database:
            await keys.start()
            # What was made so far lives as long as the process: the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
            log.info("started", issuer=of.clerk_issuer or DevelopmentKeys.issuer, process=os.getpid())
            try:
                yield
            finally:
                await preferences.close()
                await keys.close()
                log.info("stopped", process=os.getpid())

    services = Services(
        catalogue=CATALOGUE,
        authenticator=Authenticator(sessions, PostgresApiKeys(database)),
        preferences=preferences,
        history=History(store),
        readiness=partial(_readiness, database, sessions),
        rate_limit=RateLimit(of.change_rate_limit),
        clock=now,
    )
    return services, lifespan


def findings() -> Iterator[tuple[str, str, bool]]:
    """What `preferences check` looks at: subject, finding, and whether that is wrong."""
    try:
        of = settings()
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
    except (psycopg.Error, EmbeddedPostgresError) as error:
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


async def _readiness(database: Database, sessions: SessionVerifier) -> Mapping[str, str | None]:
    findings: dict[str, str | None] = {"database": None, "migrations": None, "keys": None}
    try:
        applied = await database.fetch_in_time("SELECT number, checksum FROM schema_migrations")
        findings["migrations"] = migrations.verdict(dict(applied))
    except psycopg.errors.UndefinedTable:
        findings["migrations"] = "none applied yet"
    except ServiceError:
        findings["database"] = "can't be reached"
        findings["migrations"] = "unknown"
    if not sessions.ready():
        findings["keys"] = "none fetched yet"
    return findings
