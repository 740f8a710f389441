"""POST /v1/decisions: which of these users may be written to."""

from typing import Final

from fastapi import FastAPI
from starlette.types import Receive, Scope

from api.decisions import description as decisions_description
from api.http.answer import Answer, success
from api.http.body import read_body
from api.http.instants import shown
from api.http.json_body import parse
from api.http.lean_route import LeanRoute
from api.services import Services
from application.identity import PREFERENCES_READ
from domain.send_question import send_question

PATH: Final = "/v1/decisions"

LIMIT: Final = 1024 * 1024
"""Bytes of a body: enough for ten thousand ids of a hundred characters each."""


def add(app: FastAPI, services: Services) -> None:
    catalogue = services.catalogue

    async def decide(scope: Scope, receive: Receive) -> Answer:
        reader = await services.authenticator.reader(scope, PREFERENCES_READ)
        document = parse(await read_body(scope, receive, LIMIT))
        question = send_question(document, catalogue, reader.organization)
        decided = await services.decisions.decide(question)
        if question.unsubscribe:
            await services.unsubscribing.add_headers(question, decided.decisions)
        data = {
            "channel": question.channel,
            "toggle": question.toggle.name,
            "catalogue_version": catalogue.version,
            "position": decided.position,
            "decided_at": shown(decided.decided_at),
            "decisions": decided.decisions,
        }
        return Answer(200, success(data))

    description = decisions_description.decide(catalogue)
    app.router.add_api_route(PATH, decide, methods=["POST"], route_class_override=LeanRoute, **description)
