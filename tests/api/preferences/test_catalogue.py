"""GET /v1/notifications/catalogue: what can be chosen, and what is always sent, in words for people."""

from collections.abc import Callable
from dataclasses import replace

import httpx
import psycopg
import pytest

from domain.catalogue import CATALOGUE
from infrastructure.identity.api_keys import PostgresApiKeys
from tests.support.catalogues import publish
from tests.support.patient_database import patient_database
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

CATALOGUE_PATH = "/v1/notifications/catalogue"


async def read(http: httpx.AsyncClient, headers: dict[str, str] | None = None) -> httpx.Response:
    return await http.get(CATALOGUE_PATH, headers=bearer() if headers is None else headers)


async def test_it_says_everything_that_the_catalogue_says(http) -> None:
    response = await read(http)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "data": {
            "version": CATALOGUE.version,
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
                for channel in CATALOGUE.channels
            ],
        },
    }


async def test_what_is_always_sent_is_among_it_and_what_can_be_chosen_is_what_preferences_have(http) -> None:
    channels = (await read(http)).json()["data"]["channels"]
    preferences = (await http.get(PATH, headers=bearer())).json()["data"]
    can_be_chosen = {
        channel["name"]: {toggle["name"]: toggle["default"] for toggle in channel["toggles"] if not toggle["mandatory"]}
        for channel in channels
    }
    assert can_be_chosen == preferences
    always = [toggle["name"] for channel in channels for toggle in channel["toggles"] if toggle["mandatory"]]
    assert "security_alerts" in always


async def test_any_session_and_any_key_may_read_it(http, server: Server) -> None:
    async with patient_database(server.database_url, size=1) as database:
        keys = PostgresApiKeys(database)
        of_organization = await keys.create("org_math", "catalogue", ["preferences:read"])
        of_platform = await keys.create(None, "catalogue", ["events:read"])
    answers = [
        await read(http, headers)
        for headers in (
            bearer("user_ada"),
            bearer("user_ada", None),
            bearer("user_ada", role="admin"),
            *({"Authorization": f"Bearer {key}"} for key in (of_organization, of_platform)),
        )
    ]
    assert {(answer.status_code, answer.content, answer.headers["etag"]) for answer in answers} == {
        (200, answers[0].content, answers[0].headers["etag"])
    }


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Bearer am_live_oc01" + "x" * 32}], ids=str
)
async def test_without_credentials_it_is_not_told(http, headers: dict[str, str]) -> None:
    etag = (await read(http)).headers["etag"]
    for condition in ({}, {"If-None-Match": etag}):
        response = await read(http, headers | condition)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_who_has_it_already_is_told_so(http) -> None:
    first = await read(http)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*", etag[:-1] + '-gzip"'):
        again = await read(http, bearer("user_bob", "org_chess") | {"If-None-Match": condition})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == "private, no-cache"
    for condition in ('"other"', etag[:-1] + '0"'):
        assert (await read(http, bearer() | {"If-None-Match": condition})).content == first.content


async def test_head_has_the_tag_and_no_body(http) -> None:
    read_one = await read(http)
    head = await http.head(CATALOGUE_PATH, headers=bearer())
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "cache-control"):
        assert head.headers[name] == read_one.headers[name]
    assert (await http.head(CATALOGUE_PATH)).status_code == 401
    conditional = await http.head(CATALOGUE_PATH, headers=bearer() | {"If-None-Match": head.headers["etag"]})
    assert conditional.status_code == 304


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_it_can_not_be_changed(http, method: str) -> None:
    response = await http.request(method, CATALOGUE_PATH, headers=bearer(), content=b"{}")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


async def test_while_the_next_release_is_rolled_out_it_is_what_this_process_answers_by(
    serve: Callable[..., Server],
) -> None:
    # Given the next catalogue, already published, with a toggle of its own
    server = serve()
    await publish(server.database_url)
    reworded = replace(CATALOGUE.channels[0], toggles=CATALOGUE.channels[0].toggles[1:])
    await publish(server.database_url, replace(CATALOGUE, version=CATALOGUE.version + 1, channels=(reworded,)))
    # when a process of this release is asked
    async with httpx.AsyncClient(base_url=server.url) as http:
        told = (await read(http)).json()["data"]
        preferences = (await http.get(PATH, headers=bearer())).json()["data"]
    # then it tells the catalogue that its other answers are made of.
    assert told["version"] == CATALOGUE.version
    assert set(preferences["email"]) <= {toggle["name"] for toggle in told["channels"][0]["toggles"]}
    with psycopg.connect(server.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM preferences_events").fetchone() == (2,)
