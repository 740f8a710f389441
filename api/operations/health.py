"""GET /healthz: the process lives. GET /readyz: it can serve, with the progress of the followers."""

from typing import Any

from fastapi import FastAPI, Request

from api.http.answer import JSON, Answer, failure, success
from api.http.connection import connection
from api.http.request_context import REQUEST_ID
from api.operations import description
from api.services import Services
from application.followers import FollowerStatus
from domain.errors import Unavailable


def add(app: FastAPI, services: Services) -> None:
    @app.get("/healthz", response_model=None, **description.health())
    async def healthz() -> Answer:
        return Answer(200, success({"process": "ok"}))

    @app.get("/readyz", response_model=None, **description.readiness())
    async def readyz(request: Request) -> Answer:
        findings = await services.readiness()
        wrong = {name: finding for name, finding in findings.items() if finding is not None}
        if connection(request.scope).server.begun:
            wrong["process"] = "is about to stop"
        if not wrong:
            return Answer(200, success({**dict.fromkeys(findings, "ok"), **await _followers(services)}))
        body = failure(Unavailable.code, Unavailable.message, request.scope[REQUEST_ID], wrong)
        return Answer(503, body, (JSON, (b"retry-after", b"1")))


async def _followers(services: Services) -> dict[str, Any]:
    """The followers, for information only. They don't affect readiness, because requests are served even if followers are behind."""
    try:
        return {"followers": [_shown(status) for status in await services.followers()]}
    except Unavailable:
        return {}


def _shown(status: FollowerStatus) -> dict[str, Any]:
    shown = {
        "name": status.name,
        "state": status.state,
        "position": status.position,
        "lag_events": status.lag_events,
        "lag_seconds": round(status.lag_seconds, 3),
    }
    return shown if status.failed_position is None else {**shown, "failed_position": status.failed_position}
