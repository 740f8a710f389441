"""Clicks on unsubscribe links that are refused: too large, too many, or while the database is away."""

import httpx
import psycopg

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.links import ONE_CLICK, SECRET, link
from tests.support.server import Server


async def test_a_body_that_is_too_large_is_refused_with_a_page(http, fresh_user, events_of) -> None:
    user = fresh_user()
    response = await http.post(link(user), content=b"List-Unsubscribe=One-Click".ljust(17_000))
    assert (response.status_code, response.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert response.headers["connection"] == "close"
    assert events_of(user) == 0


async def test_a_flood_of_clicks_of_one_user_is_held_back_and_that_of_another_is_not(serve, database_url) -> None:
    server = serve(unsubscribe_keys=SECRET, unsubscribe_rate_limit=5)
    async with httpx.AsyncClient(base_url=server.url) as http:
        # Given a scanner that looks at a link, and posts to it, more often than a minute allows
        for _ in range(10):
            await http.get(link())
            await http.post(link(), data={"junk": "1"})
        # then the click still counts,
        answers = [await http.post(link(), data=ONE_CLICK) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert int(answers[-1].headers["retry-after"]) > 0
        assert answers[-1].headers["content-type"] == "text/html; charset=utf-8"
        # also that on the links of others.
        assert (await http.post(link("user_bob"), data=ONE_CLICK)).status_code == 200
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM preferences_events").fetchall() == [(4,)]


async def test_only_while_the_database_is_away_it_is_worth_trying_again(ready_cluster, folder) -> None:
    # Given a service whose database is gone
    with (
        EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres,
        Server(postgres.url, unsubscribe_keys=SECRET) as server,
    ):
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            postgres.stop()
            # then a link is still shown, because that needs no database,
            assert (await http.get(link())).status_code == 200
            assert (await http.post(link(), data={"junk": "1"})).status_code == 400
            assert (await http.post(f"{link()}A", data=ONE_CLICK)).status_code == 404
            # and the click is to be tried again.
            away = await http.post(link(), data=ONE_CLICK)
            assert away.status_code == 503
            assert int(away.headers["retry-after"]) > 0
            assert "try again in a moment" in away.text
