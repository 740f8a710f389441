"""GET /v1/notifications/catalogue: the channels and toggles that there are, in words for people."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.types import Receive, Scope

from api.http.answer import JSON, Answer, success
from api.http.entity_tags import condition, matches, tag_of_all_alike
from api.http.lean_route import LeanRoute
from api.http.request_context import PRIVATE
from api.preferences import description
from api.services import Services
from domain.catalogue import Catalogue

PATH: Final = "/v1/notifications/catalogue"


def add(app: FastAPI, services: Services) -> None:
    body = success(shown(services.catalogue))
    tag = tag_of_all_alike(body)

    async def read(scope: Scope, _: Receive) -> Answer:
        await services.authenticator.anybody(scope)
        known = condition(scope, b"if-none-match")
        if known is not None and matches(known, tag):
            return Answer(304, b"", ((b"etag", tag), PRIVATE))
        return Answer(200, body, (JSON, (b"etag", tag), PRIVATE))

    described = description.catalogue(shown(services.catalogue))
    app.router.add_api_route(PATH, read, methods=["GET"], route_class_override=LeanRoute, **described)


def shown(catalogue: Catalogue) -> dict[str, Any]:
    """The whole catalogue, with the mandatory toggles."""
    return {
        "version": catalogue.version,
        "channels": [
            {
                "name": channel.name,
                "title": channel.title,
                "description": channel.description,
                "toggles": [
                    {
                        "name": toggle.name,
                        "title": toggle.title,
                        "description": toggle.description,
                        "default": toggle.default,
                        "mandatory": toggle.mandatory,
                    }
                    for toggle in channel.toggles
                ],
            }
            for channel in catalogue.channels
        ],
    }
