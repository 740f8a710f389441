"""GET and PATCH /v1/me/notifications: a user reads and changes their preferences."""

from functools import lru_cache, partial
from typing import Final

from fastapi import FastAPI
from starlette.types import Receive, Scope

from api.http.answer import JSON, Answer, success
from api.http.body import read_body
from api.http.entity_tags import condition, entity_tag, matches
from api.http.json_body import parse
from api.http.lean_route import LeanRoute
from api.http.request_context import PRIVATE, REQUEST_ID
from api.http.trace_context import TRACEPARENT
from api.preferences import description
from api.services import Services
from application.identity import UserSession
from application.preferences.state import Change, Precondition, State
from domain.change import requested_choices
from domain.preferences import stream_id
from domain.provenance import Actor, Provenance, Source

PATH: Final = "/v1/me/notifications"
# The answer of this URL depends on the token, so a browser that keeps the answer must keep it for this token only.
VARY: Final = (b"vary", b"Authorization")


class Notifications:
    def __init__(self, services: Services) -> None:
        self._services = services
        # There are few different answers: sixteen with four toggles. Each has a few cache keys, because a toggle may have its value
        # by choice or by default.
        self._encoded = lru_cache(maxsize=1024)(self._encode)

    async def read(self, scope: Scope, _: Receive) -> Answer:
        session = await self._services.authenticator.user(scope)
        state = await self._services.preferences.read(stream_id(session.organization, session.user))
        known = condition(scope, b"if-none-match")
        if known is not None and matches(known, tag := self._tag(state)):
            return Answer(304, b"", ((b"etag", tag), PRIVATE, VARY))
        return self._answer(state)

    async def change(self, scope: Scope, receive: Receive) -> Answer:
        session = await self._services.authenticator.user(scope)
        requested = requested_choices(parse(await read_body(scope, receive)), self._services.catalogue)
        stream = stream_id(session.organization, session.user)
        self._services.rate_limit.spend(stream)
        change = Change(stream, requested, self._provenance(session, scope), self._precondition(scope))
        return self._answer(await self._services.preferences.change(change))

    def _answer(self, state: State) -> Answer:
        body = self._body(state)
        return Answer(200, body, (JSON, (b"etag", entity_tag(state, body)), PRIVATE, VARY))

    def _body(self, state: State) -> bytes:
        return self._encoded(tuple(state.choices.items()))

    def _encode(self, choices: tuple[tuple[str, bool], ...]) -> bytes:
        return success(self._services.catalogue.resolve(dict(choices)))

    def _tag(self, state: State) -> bytes:
        return entity_tag(state, self._body(state))

    def _precondition(self, scope: Scope) -> Precondition | None:
        wanted = condition(scope, b"if-match")
        if wanted is None:
            return None
        return lambda state: matches(wanted, self._tag(state))

    def _provenance(self, session: UserSession, scope: Scope) -> Provenance:
        actor = Actor(user=session.user, session=session.session)
        if session.impersonator is not None:
            actor["impersonator"] = session.impersonator
        return Provenance(
            actor=actor,
            organization=session.organization,
            source=Source.DASHBOARD,
            request_id=scope[REQUEST_ID],
            occurred_at=self._services.clock(),
            catalogue_version=self._services.catalogue.version,
            traceparent=scope.get(TRACEPARENT),
        )


def add(app: FastAPI, services: Services) -> None:
    endpoints = Notifications(services)
    catalogue = services.catalogue
    route = partial(app.router.add_api_route, PATH, route_class_override=LeanRoute)
    route(endpoint=endpoints.read, methods=["GET"], **description.read(catalogue))
    route(endpoint=endpoints.change, methods=["PATCH"], **description.change(catalogue))
