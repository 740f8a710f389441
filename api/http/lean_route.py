"""Routes that the framework documents but doesn't run, because it would slow them down."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from api.http.answer import Answer
from api.http.errors import hung_up, refusal
from api.http.refused_request import REFUSAL
from api.http.request_context import REQUEST_ID
from api.http.route import Route
from domain.errors import ServiceError

Endpoint: TypeAlias = Callable[[Request], Awaitable[Answer]]


class LeanRoute(Route):
    """The endpoint takes the whole request and returns the answer. The framework only describes it."""


class LeanRoutes:
    """Runs before the framework. It calls the endpoints of lean routes itself and passes all other requests on.

    Middleware, routing, dependencies, validation and serialization cost more than all the rest of a GET together, and lean
    routes need none of them (figures: docs/performance.md).
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._routes = {
            (method, route.path): (route, cast("Endpoint", route.endpoint))
            for route in app.routes
            if isinstance(route, LeanRoute)
            for method in route.answered
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if found is None:
            refused = scope.get(REFUSAL)
            without_route = self._app if refused is None else refusal(refused, scope[REQUEST_ID])
            await without_route(scope, receive, send)
            return
        scope["route"], endpoint = found
        try:
            answer = await endpoint(Request(scope, receive))
        except ServiceError as error:
            answer = refusal(error, scope[REQUEST_ID])
        except ClientDisconnect:
            answer = hung_up()
        await answer(scope, receive, send)
