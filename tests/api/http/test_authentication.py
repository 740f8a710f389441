"""What a route asks of its caller, by what stands in its signature."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Query

from api.http import errors
from api.http.authentication import AuditReader, Authenticator, EventsReader
from api.http.request_context import RequestContext
from application.identity import ApiKey, UserSession
from domain.errors import Unauthenticated

SCOPES = {"audit": "audit:read", "events": "events:read"}
SESSIONS = {
    "admin": UserSession("user_ada", "sess_1", "org_math", "admin", None, 0),
    "member": UserSession("user_bob", "sess_2", "org_math", "member", None, 0),
    "alone": UserSession("user_ada", "sess_3", None, "admin", None, 0),
}


class Sessions:
    async def verify(self, token: str) -> UserSession:
        if token not in SESSIONS:
            raise Unauthenticated("unknown")
        return SESSIONS[token]

    def ready(self) -> bool:
        return True


class Keys:
    """A key `am_live_math_events` belongs to org_math and has events:read; one of the platform says so."""

    async def find(self, key: str) -> ApiKey | None:
        owner, _, noun = key.removeprefix("am_live_").partition("_")
        organization = None if owner == "platform" else f"org_{owner}"
        return ApiKey(UUID(int=1), organization, "test", frozenset({SCOPES[noun]})) if noun in SCOPES else None


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(openapi_url=None)
    app.state.authenticator = Authenticator(Sessions(), Keys(), {"admin": frozenset(SCOPES.values())})

    @app.get("/audit")
    async def audit(reader: AuditReader, limit: int = Query(1, ge=1)) -> list[str]:
        return [reader.label, reader.organization]

    @app.get("/events")
    async def events(reader: EventsReader, limit: int = Query(1, ge=1)) -> list[str | None]:
        return [reader.label, reader.organization]

    errors.install(app)
    application = RequestContext(app, new_id=lambda: "01JTBQH2FZ8K1RXC0WJ4Z9P3VM", log_request=lambda *_: None)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def known_as(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("noun", SCOPES)
async def test_a_session_and_a_key_with_the_scope_pass(http, noun: str) -> None:
    response = await http.get(f"/{noun}", headers=known_as("admin"))
    assert response.json() == ["user:user_ada", "org_math"]
    response = await http.get(f"/{noun}", headers=known_as(f"am_live_chess_{noun}"))
    assert response.json() == [f"api_key:{UUID(int=1)} (test)", "org_chess"]


@pytest.mark.parametrize("noun", SCOPES)
@pytest.mark.parametrize("query", ["", "?limit=0"])
async def test_nobody_and_somebody_unknown_are_told_so_before_anything_else(http, noun: str, query: str) -> None:
    assert code(await http.get(f"/{noun}{query}")) == (401, "UNAUTHORIZED")
    for token in ("nobody", "am_live_nobody"):
        assert code(await http.get(f"/{noun}{query}", headers=known_as(token))) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("noun", SCOPES)
@pytest.mark.parametrize("query", ["", "?limit=0"])
async def test_who_lacks_the_scope_is_told_so_before_the_query_is_looked_at(http, noun: str, query: str) -> None:
    others = [f"am_live_math_{other}" for other in SCOPES if other != noun]
    for token in ("member", "alone", *others):
        assert code(await http.get(f"/{noun}{query}", headers=known_as(token))) == (403, "FORBIDDEN")
    assert code(await http.get(f"/{noun}?limit=0", headers=known_as("admin"))) == (422, "VALIDATION_FAILED")


async def test_a_key_of_the_platform_reads_events_of_all_and_no_organizations_own(http) -> None:
    response = await http.get("/events", headers=known_as("am_live_platform_events"))
    assert response.json() == [f"api_key:{UUID(int=1)} (test)", None]
    assert code(await http.get("/audit", headers=known_as("am_live_platform_audit"))) == (403, "FORBIDDEN")
