"""The web application, made of the services that it is given."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from api import (
    audit_log,
    decisions,
    docs,
    errors,
    events,
    health,
    history,
    metrics,
    notifications,
    users,
)
from api.document import document
from api.lean_route import LeanRoutes
from api.request_context import LogRequest, RequestContext
from api.services import Lifespan, Services


def create(services: Services, lifespan: Lifespan, new_id: Callable[[], str], log_request: LogRequest) -> ASGIApp:
    """The whole application. `lifespan` surrounds the time in which it serves; `new_id` makes ULIDs."""
    return RequestContext(LeanRoutes(framework(services, lifespan)), new_id=new_id, log_request=log_request)


def framework(services: Services, lifespan: Lifespan) -> FastAPI:
    """The routes, their description and their errors. It counts on `RequestContext` around it."""

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
        lifespan=surrounded,
    )
    app.state.authenticator = services.authenticator
    for add in (
        notifications.add,
        history.add,
        users.add,
        audit_log.add,
        events.add,
        decisions.add,
        health.add,
        metrics.add,
    ):
        add(app, services)
    docs.add(app, lambda: document(app, services.catalogue))
    errors.install(app)
    return app
