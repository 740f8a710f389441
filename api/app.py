"""Makes the web application from the services."""

from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from api.audit import evidence, reads, users
from api.audit import log as audit_log
from api.audit import summary as audit_summary
from api.decisions import decisions
from api.documentation import docs
from api.documentation.document import document
from api.feed import events
from api.http import errors
from api.http.cross_origin import CrossOrigin
from api.http.lean_route import LeanRoutes
from api.http.request_context import LogRequest, RequestContext
from api.http.route import Route
from api.http.trace_context import RequestTracing
from api.operations import health, metrics
from api.pages import assets, sign_in
from api.pages.console import console
from api.pages.preferences import preferences as preferences_page
from api.pages.unsubscribe import unsubscribe
from api.preferences import catalogue, history, notifications
from api.services import Lifespan, Services


def create(
    services: Services,
    lifespan: Lifespan,
    new_id: Callable[[], str],
    log_request: LogRequest,
    *,
    page_origins: AbstractSet[str] = frozenset(),
    tracing: RequestTracing | None = None,
) -> ASGIApp:
    """The whole application. It serves inside `lifespan`. `new_id` makes ULIDs. Pages of `page_origins` may call it from a browser.
    `tracing` records spans of requests."""
    return RequestContext(
        LeanRoutes(framework(services, lifespan)),
        cross_origin=CrossOrigin(page_origins) if page_origins else None,
        new_id=new_id,
        log_request=log_request,
        tracing=tracing,
    )


def framework(services: Services, lifespan: Lifespan) -> FastAPI:
    """The routes, their description and their errors. It needs `RequestContext` around it."""

    @asynccontextmanager
    async def surrounded(_: FastAPI) -> AsyncIterator[None]:
        async with lifespan():
            yield

    app = FastAPI(
        title="Notification preferences",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its spans would have each path, and paths name users. Ours are in `RequestContext`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=surrounded,
    )
    app.router.route_class = Route
    app.state.authenticator = services.authenticator
    for add in (
        notifications.add,
        history.add,
        catalogue.add,
        users.add,
        audit_log.add,
        evidence.add,
        reads.add,
        audit_summary.add,
        events.add,
        decisions.add,
        health.add,
        metrics.add,
        assets.add,
        sign_in.add,
        preferences_page.add,
        console.add,
        unsubscribe.add,
    ):
        add(app, services)
    docs.add(app, lambda: document(app, services.catalogue))
    errors.install(app)
    return app
