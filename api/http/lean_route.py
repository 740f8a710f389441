"""Routes that the framework documents but doesn't run, because it would slow them down."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from api.http.answer import Answer
from api.http.errors import hung_up, refusal
from api.http.refused_request import REFUSAL
from api.http.request_context import REQUEST_ID
from api.http.route import Route
from domain.errors import ServiceError

Endpoint: TypeAlias = Callable[[Scope, Receive], Awaitable[Answer]]


class LeanRoute(Route):
    """The endpoint takes the whole request, as ASGI has it, and returns the answer. The framework only describes it."""

    def __init__(self, path: str, endpoint: Endpoint, **description: Any) -> None:
        self.lean_endpoint = endpoint

        # The framework takes parameters of a function for those of the request.
        async def described() -> Answer:
            raise NotImplementedError  # `LeanRoutes` answers before the framework could call it.

        # Not by `functools.wraps`, behind which the framework finds the endpoint again.
        described.__name__ = endpoint.__name__
        super().__init__(path, described, **description)


class LeanRoutes:
    """Runs before the framework. It calls the endpoints of lean routes itself and passes all other requests on.

    Middleware, routing, dependencies, validation and serialization cost more than all the rest of a GET together, and lean
    routes need none of them (figures: docs/performance.md).
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._routes = {
            (method, route.path): (route, route.lean_endpoint)
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
            answer = await endpoint(scope, receive)
        except ServiceError as error:
            answer = refusal(error, scope[REQUEST_ID])
        except ClientDisconnect:
            answer = hung_up()
        await answer(scope, receive, send)
