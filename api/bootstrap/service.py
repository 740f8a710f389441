"""Wires one server process of the service."""

import gc
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial

import structlog
from starlette.types import ASGIApp
from ulid_transform import ulid_now

from api import app
from api.bootstrap import evidence, tracing
from api.bootstrap.audit import make_audit_log, make_audit_summary, make_readings
from api.bootstrap.clock import kept_in_step
from api.bootstrap.feeds import feed
from api.bootstrap.figures import build, figures
from api.bootstrap.followers import registered
from api.bootstrap.identities import session_verifier, signing_keys
from api.bootstrap.read_replica import read_databases
from api.bootstrap.replication import replicated_end, replication_status
from api.bootstrap.sign_in import sign_in
from api.bootstrap.unsubscribing import unsubscribing
from api.documentation.document import document
from api.http.authentication import Authenticator
from api.http.rate_limit import RateLimit
from api.http.request_context import PROBED
from api.services import Lifespan, Services
from application.audit.evidence import UserEvidence
from application.audit.reads import RecordOfReading
from application.audit.users import Users
from application.decisions import Decisions
from application.identity import SessionVerifier
from application.preferences.history import History
from application.preferences.preferences import Preferences, TraceBatch
from application.publishing import CatalogueLog
from domain.catalogue import CATALOGUE
from infrastructure import logs
from infrastructure.audit.reads import PostgresAuditReads
from infrastructure.audit.streams import PostgresStreams
from infrastructure.decisions.stream_states import PostgresStreamStates
from infrastructure.evidence.signing_status import PostgresSigning
from infrastructure.evidence.sweep.journal import sweep_status
from infrastructure.followers.register import FollowerRegister
from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.identity.development_keys import DevelopmentKeys
from infrastructure.log.catalogues import PostgresCatalogues
from infrastructure.log.continuation import continuation_summary
from infrastructure.log.readiness import readiness
from infrastructure.log.sealing import new_key
from infrastructure.postgres import migrations
from infrastructure.postgres.database import POINT_LOOKUP_OPTIONS, Database
from infrastructure.postgres.database_clock import DatabaseClock
from infrastructure.preferences.event_store import PostgresPreferencesStore
from infrastructure.preferences.past_changes import PastChanges
from infrastructure.settings import Settings
from infrastructure.telemetry.request_log import RequestLog

log = structlog.get_logger("service")


def create_app() -> ASGIApp:
    """The application of one server process, configured by the environment alone. It needs `DATABASE_URL`."""
    settings = Settings.from_environment()
    logs.configure(settings.log_level)
    log_request = RequestLog(settings.log_level, probed=PROBED, write=logs.StandardError().write)
    recording = ExitStack()
    spans = recording.enter_context(tracing.recording(settings))
    services, lifespan = wire(settings, None if spans is None else spans.change_batch)

    @asynccontextmanager
    async def recorded() -> AsyncIterator[None]:
        with recording:
            async with lifespan():
                yield

    return app.create(services, recorded, ulid_now, log_request, page_origins=settings.page_origins, tracing=spans)


def wire(settings: Settings, trace: TraceBatch | None = None) -> tuple[Services, Lifespan]:
    """The real services and their lifespan. This connects, fetches and starts nothing yet. `trace` records batches of changes as spans."""
    assert settings.database_url is not None
    database = Database(settings.database_url, options=POINT_LOOKUP_OPTIONS)
    keys = signing_keys(settings)
    sessions = session_verifier(settings, keys)
    clock = DatabaseClock()
    store = PostgresPreferencesStore(database, replicated_end(settings))
    reads = read_databases(settings, database)
    recorded_feed, live_feed = feed(settings, reads.feed, reads.replica)
    preferences = Preferences(store, iter(ulid_now, None), new_key, trace=trace)
    catalogues = PostgresCatalogues(database)
    decisions = Decisions(PostgresStreamStates(database), clock, partial(_catalogue_held, catalogues))
    history = History(store)
    readings = make_readings(reads.audit.primary, clock)
    audit_log = make_audit_log(reads.audit, readings)
    unsubscribed = unsubscribing(settings, preferences, clock)
    rate_limit, unsubscribe_rate_limit = (
        RateLimit(settings.change_rate_limit),
        RateLimit(settings.unsubscribe_rate_limit),
    )
    of_process = figures(
        {"requests": database, **reads.pools},
        preferences,
        decisions,
        live_feed,
        unsubscribed,
        {"changes": rate_limit, "unsubscribe_clicks": unsubscribe_rate_limit},
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with database, reads.opened(), kept_in_step(clock, database), of_process.published():
            migrations.available()  # Read and cached now, while files can still be opened: `/readyz` needs the list later.
            await keys.start()
            # All objects made so far live as long as the process, so the garbage collector need not walk them again and again.
            gc.collect()
            gc.freeze()
            # Let it run after 5,000 new objects instead of 700, because hardly any object here needs the collector to be freed.
            gc.set_threshold(5_000)
            log.info("started", issuer=settings.clerk_issuer or DevelopmentKeys.issuer, process=os.getpid())
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
        authenticator=Authenticator(sessions, PostgresApiKeys(database), settings.role_scopes),
        preferences=preferences,
        decisions=decisions,
        history=history,
        users=Users(PostgresStreams(reads.audit, clock), History(PastChanges(store, reads.audit)), readings, clock),
        feed=recorded_feed,
        live_feed=live_feed,
        feed_heartbeat=settings.feed_heartbeat,
        feed_send_within=settings.feed_send_within,
        readiness=partial(_readiness, database, sessions),
        audit_log=audit_log,
        evidence=UserEvidence(evidence.user_evidence(settings, settings.database_url), readings),
        reads=RecordOfReading(PostgresAuditReads(reads.audit.primary), readings),
        audit_summary=make_audit_summary(reads.audit, readings, clock),
        followers=partial(
            FollowerRegister(database, clock).statuses, [follower.name for follower in registered(settings)]
        ),
        counted=lambda: [*of_process.collect(), *reads.collect()],
        checkpoint_interval=settings.checkpoint_interval,
        sweep_within=settings.sweep_within,
        build=build(),
        swept=partial(sweep_status, database),
        continuations=partial(continuation_summary, database),
        signing=PostgresSigning(database, clock).status,
        replication=partial(replication_status, settings, database),
        rate_limit=rate_limit,
        unsubscribing=unsubscribed,
        unsubscribe_rate_limit=unsubscribe_rate_limit,
        clock=clock,
        clock_offset=clock.offset,
        sign_in=sign_in(settings, sessions),
    )
    return services, lifespan


def openapi_document() -> str:
    """The OpenAPI document that the application serves, in a form that is easy to compare. This starts nothing."""
    services, lifespan = wire(Settings(database_url="postgresql://unused", clerk_issuer="https://unused.invalid"))
    described = document(app.framework(services, lifespan), services.catalogue)
    return json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False)


async def _catalogue_held(catalogues: CatalogueLog) -> bool:
    return (await catalogues.published()).was_ever_in_force(CATALOGUE)


async def _readiness(database: Database, sessions: SessionVerifier) -> Mapping[str, str | None]:
    found = await readiness(database)
    findings = {"database": found.database, "migrations": "unknown", "catalogue": "unknown"}
    if found.applied is not None:
        findings["migrations"] = migrations.verdict(found.applied) if found.applied else "none applied yet"
    if found.published is not None:
        findings["catalogue"] = found.published.verdict(CATALOGUE)
    return {**findings, "keys": None if sessions.ready() else "none fetched yet"}
