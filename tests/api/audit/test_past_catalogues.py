"""What others are told of a user for a day whose catalogue is no longer the present one, or is not yet published."""

from collections.abc import Callable
from typing import Any

import httpx
import psycopg

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle
from infrastructure.postgres import migrations
from tests.support.catalogues import publish
from tests.support.server import PATH, Server
from tests.support.tokens import bearer
from tests.support.user_questions import ADMIN, now, path_of

DEFAULTS = CATALOGUE.resolve({})


async def test_each_day_is_told_with_the_defaults_of_that_day(serve: Callable[..., Server]) -> None:
    """Two catalogues: one default changed, one toggle added, one removed, and users with and without choices of their own."""
    server = serve()
    email = CATALOGUE.channels[0]
    later = Catalogue(
        CATALOGUE.version + 1,
        (
            Channel(
                "email",
                (
                    *(t for t in email.toggles if t.name not in {"product_updates", "billing_receipts"}),
                    Toggle("product_updates", default=False),
                ),
            ),
            Channel("in_app", (Toggle("mentions", default=True),)),
        ),
    )
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:

        async def seen(user: str, instant: str | None = None) -> dict[str, Any]:
            parameters = {"include": "explain"} | ({"as_of": instant} if instant else {})
            response = await http.get(path_of(user), params=parameters, headers=ADMIN)
            assert response.status_code == 200, response.text
            return response.json()["data"]

        unpublished = await http.get(path_of("user_ada"), headers=ADMIN)
        assert (unpublished.status_code, unpublished.json()["error"]["code"]) == (503, "UNAVAILABLE")
        chose = b'{"email": {"product_updates": true, "billing_receipts": false}}'
        assert (await http.patch(PATH, content=chose, headers=bearer("user_ada"))).status_code == 200
        early = now()
        await publish(server.database_url)
        assert (await http.get("/readyz")).status_code == 200
        between = now()
        await publish(server.database_url, later)

        # What was recorded before the first publishing is told with the first catalogue.
        for instant in (early, between):
            data = await seen("user_ada", instant)
            assert data["catalogue_version"] == CATALOGUE.version
            assert data["notifications"]["email"]["product_updates"] is True
            assert data["notifications"]["email"]["billing_receipts"] is False
            assert set(data["notifications"]) == {"email"}
        # A choice outlives a changed default, and what left the catalogue is not shown.
        data = await seen("user_ada")
        assert data["catalogue_version"] == later.version
        assert data["notifications"] == {
            "email": {"delivery_alerts": True, "weekly_usage_digest": False, "product_updates": True},
            "in_app": {"mentions": True},
        }
        assert data["explain"]["email"]["product_updates"]["event"]["catalogue_version"] == CATALOGUE.version
        # Who never chose gets the default of the day.
        assert (await seen("user_bob", between))["notifications"]["email"]["product_updates"] is True
        assert (await seen("user_bob"))["notifications"]["email"]["product_updates"] is False
        # A release that is older than what is published still serves, with its own catalogue.
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get(PATH, headers=bearer("user_bob"))).json()["data"] == DEFAULTS


NEWEST = max(migration.number for migration in migrations.available())


OF_THE_NEXT_RELEASE = (
    "INSERT INTO schema_migrations (number, name, checksum, leaves_working) VALUES (9999, 'of_the_next', 'x', %s)"
)


async def test_a_release_that_is_older_than_the_schema_still_serves(serve: Callable[..., Server]) -> None:
    server = serve()
    await publish(server.database_url)
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        connection.execute(OF_THE_NEXT_RELEASE, [NEWEST])
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            assert (await http.get("/readyz")).json()["data"]["migrations"] == "ok"
            assert (await http.get(PATH, headers=bearer("user_bob"))).json()["data"] == DEFAULTS
            # One that lacks a migration of its own, or has another one in its place, doesn't.
            for statement, finding in (
                (
                    "UPDATE schema_migrations SET checksum = 'x' WHERE number = 2",
                    "was edited after it had been applied",
                ),
                ("DELETE FROM schema_migrations WHERE number = 2", "1 not applied: run `preferences migrate`"),
                (
                    "UPDATE schema_migrations SET leaves_working = 9999 WHERE number = 9999",
                    "only leaves releases working that have 9999",
                ),
                ("UPDATE schema_migrations SET leaves_working = NULL WHERE number = 9999", "too old to know it"),
            ):
                connection.execute(statement)
                response = await http.get("/readyz")
                assert response.status_code == 503
                assert finding in response.json()["error"]["details"]["migrations"]


async def test_a_release_whose_catalogue_is_not_published_is_not_ready(serve: Callable[..., Server]) -> None:
    server = serve()
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["error"]["details"]) == (
            503,
            {"catalogue": f"version {CATALOGUE.version} is not published: run `preferences migrate`"},
        )
        await publish(server.database_url)
        assert (await http.get("/readyz")).json()["data"]["catalogue"] == "ok"
    with psycopg.connect(server.database_url) as connection:
        connection.execute("TRUNCATE preferences_events")
    await publish(server.database_url, Catalogue(CATALOGUE.version, ()))
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        response = await http.get("/readyz")
        assert response.status_code == 503
        assert "with other content" in response.json()["error"]["details"]["catalogue"]
