"""A toggle that has left the catalogue, or became mandatory, is still found in what the log keeps of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import jsonschema_rs
import pytest

from tests.support.catalogues import catalogue, published
from tests.support.events import opened, toggled
from tests.support.events_client import events_key, lines, pages, positions
from tests.support.filled_log import put, take_in
from tests.support.server import Server

LOG = [
    published(catalogue(1, news=True, security_alerts=True)),
    opened(),
    toggled(2, "news", False),
    toggled(3, "security_alerts", False),
    toggled(4, "product_updates", False),
]


@pytest.fixture(scope="module")
def server(new_database) -> Iterator[Server]:
    url = new_database()
    put(url, LOG)
    asyncio.run(take_in(url))
    with Server(url) as server:
        yield server


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        yield client


@pytest.mark.parametrize(("toggle", "position"), [("news", 3), ("security_alerts", 4), ("product_updates", 5)])
async def test_the_feed_and_the_audit_log_find_it(http, server, toggle: str, position: int) -> None:
    headers = await events_key(server.database_url, "org_math", "events:read", "audit:read")
    for query in ({"toggle": toggle}, {"toggle": toggle, "channel": "email"}):
        assert positions(await pages(http, headers, **query)) == [position]
        assert positions((await lines(http, headers, **query))[0]) == [position]
        page = await http.get("/v1/audit-log", params={**query, "include": "payload"}, headers=headers)
        assert [entry["payload"]["after"]["toggle"] for entry in page.json()["data"]] == [toggle]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/audit-log"])
async def test_the_description_lets_a_client_ask_for_it(http, path: str) -> None:
    document = (await http.get("/openapi.json")).json()
    schemas = {each["name"]: each["schema"] for each in document["paths"][path]["get"]["parameters"]}
    assert jsonschema_rs.is_valid(schemas["toggle"], "news")
    assert jsonschema_rs.is_valid(schemas["channel"], "in_app")
    assert "product_updates" in schemas["toggle"]["examples"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/audit-log"])
async def test_what_no_catalogue_ever_had_is_told(http, server, path: str) -> None:
    headers = await events_key(server.database_url, "org_math", "events:read", "audit:read")
    for query, details in (
        ({"toggle": "novelties"}, {"toggle": "unknown toggle"}),
        ({"channel": "pigeon"}, {"channel": "unknown channel"}),
        ({"channel": "pigeon", "toggle": "news"}, {"channel": "unknown channel"}),
    ):
        response = await http.get(path, params=query, headers=headers)
        assert response.status_code == 422
        assert response.json()["error"]["details"] == details
