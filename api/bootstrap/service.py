"""The service: one server process, with all that is real in it."""

import gc
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import psycopg
import structlog
from starlette.types import ASGIApp
from ulid_transform import ulid_now

from api import app, description
from api.authentication import Authenticator
from api.bootstrap.audit import make_audit_log, make_readings
from api.bootstrap.clock import now
from api.bootstrap.feeds import feed_answers, open_feed_database
from api.bootstrap.followers import registered
from api.bootstrap.identities import session_verifier, signing_keys
from api.rate_limit import RateLimit
from api.request_context import PROBED
from api.services import Lifespan, Services
from application.decisions import Decisions
from application.history import History
from application.identity import SessionVerifier
from application.preferences import Preferences
from application.publishing import CatalogueLog
from application.users import Users
from domain.catalogue import CATALOGUE
from domain.errors import ServiceError
from infrastructure import logs, migrations, unreadable_actors
from infrastructure.api_keys import PostgresApiKeys
from infrastructure.audit_log import open_database
from infrastructure.catalogues import PostgresCatalogues
from infrastructure.database import KEYED, Database
from infrastructure.development_keys import DevelopmentKeys
from infrastructure.event_store import PostgresPreferencesStore
from infrastructure.follower_register import FollowerRegister
from infrastructure.request_log import RequestLog
from infrastructure.sealing import new_key
from infrastructure.settings import Settings
from infrastructure.standings import PostgresStandings
from infrastructure.streams import PostgresStreams
from infrastructure.sweep.journal import sweep_status

log = structlog.get_logger("service")


def create_app() -> ASGIApp:
    """The application of one server process, from the environment alone. Needs `DATABASE_URL`."""
    of = Settings.from_environment()
    logs.configure(of.log_level)
    log_request = RequestLog(of.log_level, probed=PROBED, write=logs.StandardError().write)
    return app.create(*wire(of), ulid_now, log_request)


def create_worker() -> ASGIApp:
    """The same, in one of several processes. A Ctrl-C reaches all of them, but the one that started them ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return create_app()


def wire(of: Settings) -> tuple[Services, Lifespan]:
    """All that is real, and the time that it lives for. Nothing is connected, fetched or started yet."""
    assert of.database_url is not None
    database = Database(of.database_url, options=KEYED)
    keys = signing_keys(of)
    sessions = session_verifier(of, keys)
    store = PostgresPreferencesStore(database)
    feed_database = open_feed_database(of.database_url)
    preferences = Preferences(store, iter(ulid_now, None), new_key)
    catalogues = PostgresCatalogues(database)
    decisions = Decisions(PostgresStandings(database), now, partial(_catalogue_held, catalogues))
    history = History(store)
    audit_database = open_database(of.database_url)
    readings = make_readings(audit_database, now)
    audit_log = make_audit_log(audit_database, readings)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with database, feed_database, audit_database:
            await keys.start()
            # What was made so far lives as long as the process: the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
            # It looks at what is new after 5,000 objects instead of 700: hardly anything here needs it to be freed.
            gc.set_threshold(5_000)
            log.info("started", issuer=of.clerk_issuer or DevelopmentKeys.issuer, process=os.getpid())
            try:
                yield
            finally:
                await preferences.close()
                await audit_log.close()
                await decisions.close()
                await keys.close()
                log.info("stopped", process=os.getpid())

    services = Services(
        catalogue=CATALOGUE,
        published=catalogues.published,
        authenticator=Authenticator(sessions, PostgresApiKeys(database), of.role_scopes),
        preferences=preferences,
        decisions=decisions,
        history=history,
        users=Users(PostgresStreams(audit_database), history, readings, now),
        feed=feed_answers(of, feed_database),
        readiness=partial(_readiness, database, catalogues, sessions),
        audit_log=audit_log,
        followers=partial(FollowerRegister(database, now).statuses, [follower.name for follower in registered(of)]),
        counted=unreadable_actors.collect,
        swept=partial(sweep_status, database),
        rate_limit=RateLimit(of.change_rate_limit),
        clock=now,
    )
    return services, lifespan


def openapi_document() -> str:
    """The description that the application serves, in a form that is pleasant to compare. Nothing is started for it."""
    services, lifespan = wire(Settings(database_url="postgresql://unused", clerk_issuer="https://unused.invalid"))
    document = description.document(app.framework(services, lifespan))
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)


async def _catalogue_held(catalogues: CatalogueLog) -> bool:
    return (await catalogues.published()).held(CATALOGUE)


async def _readiness(
    database: Database, catalogues: CatalogueLog, sessions: SessionVerifier
) -> Mapping[str, str | None]:
    findings: dict[str, str | None] = {"database": None, "migrations": None, "catalogue": "unknown", "keys": None}
    try:
        applied = await database.fetch_in_time("SELECT number, checksum FROM schema_migrations")
        findings["migrations"] = migrations.verdict_while_serving(dict(applied))
        findings["catalogue"] = (await catalogues.published()).verdict(CATALOGUE)
    except psycopg.errors.UndefinedTable:
        findings["migrations"] = findings["migrations"] or "none applied yet"
    except ServiceError:
        findings["database"] = "can't be reached"
        findings["migrations"] = findings["migrations"] or "unknown"
    if not sessions.ready():
        findings["keys"] = "none fetched yet"
    return findings
