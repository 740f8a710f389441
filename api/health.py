"""GET /healthz: the process lives. GET /readyz: it can serve."""

from fastapi import FastAPI, Request

from api import description
from api.answer import JSON, Answer, failure, success
from api.request_context import REQUEST_ID
from api.services import Services
from domain.errors import Unavailable


def add(app: FastAPI, services: Services) -> None:
    @app.get("/healthz", response_model=None, **description.health())
    async def healthz() -> Answer:
        return Answer(200, success({"process": "ok"}))

    @app.get("/readyz", response_model=None, **description.readiness())
    async def readyz(request: Request) -> Answer:
        findings = await services.readiness()
        wrong = {name: finding for name, finding in findings.items() if finding is not None}
        if not wrong:
            return Answer(200, success(dict.fromkeys(findings, "ok")))
        body = failure(Unavailable.code, Unavailable.message, request.scope[REQUEST_ID], wrong)
        return Answer(503, body, (JSON, (b"retry-after", b"1")))
