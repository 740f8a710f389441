"""The feed of events over HTTP, as pages and as lines. What never ends is in test_event_stream.py."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from application.following import Following, Step
from infrastructure.audit.index import AuditIndexer
from infrastructure.followers.journal import PostgresJournal
from projections.cloud_events import cloud_event
from tests.support.events import catalogue_published, continued
from tests.support.events_client import EVENTS, events_key, lines, pages, positions
from tests.support.filled_log import Chance, put
from tests.support.server import Server
from tests.support.tokens import bearer

KINDS = {
    name: f"notification-preferences.{name}.v1"
    for name in ("opened", "toggled", "erased", "catalogue-published", "continued")
}
COMMON = {KINDS["catalogue-published"], KINDS["continued"]}
_CHANCE = Chance(14)
LOG = [catalogue_published(1), *_CHANCE.events(350), continued(351), *_CHANCE.events(349)]
"""Of three organizations. It has no gaps, so an event's position is its number here."""
FEED = [json.loads(json.dumps(cloud_event(number, event))) for number, event in enumerate(LOG, 1)]


@pytest.fixture(scope="module", params=["no index", "an index of the first part", "an index"])
def feed(request, new_database) -> Iterator[Server]:
    url = new_database()
    put(url, LOG[:300])
    if request.param != "no index":
        asyncio.run(take_in(url))
    put(url, LOG[300:])
    if request.param == "an index":
        asyncio.run(take_in(url))
    with Server(url, followers="off") as server:
        yield server


async def take_in(url: str) -> None:
    """Let the audit log's index follow the log to its end."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        journal = PostgresJournal(connection, AuditIndexer.name)
        await journal.register()
        following = Following(AuditIndexer(), journal)
        while await following.step() is Step.ON:
            pass


@pytest.fixture
async def http(feed: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=feed.url, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def platform(feed: Server) -> dict[str, str]:
    return asyncio.run(events_key(feed.database_url))


@pytest.fixture(scope="module")
def math(feed: Server) -> dict[str, str]:
    return asyncio.run(events_key(feed.database_url, "org_math"))


whatever_the_index = pytest.mark.parametrize("feed", ["an index"], indirect=True, scope="module")
"""For what has nothing to do with it."""


def of(organization: str) -> list[Any]:
    """What an organization's key must see, said as plainly as it can be."""
    return [event for event in FEED if event["data"].get("organization") == organization or event["type"] in COMMON]


async def test_a_key_of_the_platform_sees_every_event_in_the_order_of_the_log(http, platform) -> None:
    found, next_after = await lines(http, platform)
    assert found == FEED
    assert next_after == len(LOG)
    assert await pages(http, platform, limit=97) == FEED


async def test_a_key_of_an_organization_sees_its_events_and_what_concerns_all_and_nothing_else(
    http, feed, math
) -> None:
    assert {event["type"] for event in of("org_math")} == {*KINDS.values()}
    assert (await lines(http, math))[0] == of("org_math")
    assert await pages(http, math, limit=7) == of("org_math")
    nobody = await events_key(feed.database_url, "org_without_anybody")
    found, next_after = await lines(http, nobody)
    assert positions(found) == [1, 352]
    assert next_after == len(LOG)


async def test_a_session_sees_its_organization_where_its_role_has_the_scope(new_database) -> None:
    url = new_database()
    put(url, LOG)
    with Server(url, role_scopes="auditor=events:read", followers="off") as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            found, _ = await lines(http, bearer("user_x", "org_chess", role="auditor"))
            assert found == of("org_chess")
            for refused in (bearer("user_x", "org_chess", role="admin"), bearer("user_x", None, role="auditor")):
                assert (await http.get(EVENTS, headers=refused)).json()["error"]["code"] == "FORBIDDEN"


@whatever_the_index
async def test_who_has_another_scope_or_none_is_refused(http, feed) -> None:
    other = await events_key(feed.database_url, "org_math", "audit:read")
    for headers, status in ((other, 403), ({}, 401), ({"Authorization": "Bearer am_live_oc01" + "x" * 32}, 401)):
        for accept in ("application/json", "application/x-ndjson", "text/event-stream"):
            assert (await http.get(EVENTS, headers=headers | {"Accept": accept})).status_code == status


@pytest.mark.parametrize(
    "query",
    [
        *({"type": name} for name in KINDS.values()),
        {"channel": "email"},
        {"toggle": "billing_receipts"},
        {"channel": "email", "toggle": "weekly_usage_digest"},
        {"type": KINDS["toggled"], "toggle": "product_updates"},
        {"type": KINDS["erased"], "channel": "email"},
    ],
    ids=str,
)
@pytest.mark.parametrize("organization", [None, "org_math"])
async def test_a_filter_leaves_out_and_changes_nothing_else(http, feed, query, organization) -> None:
    def selected(event: Any) -> bool:
        return all(
            event["type" if name == "type" else "data"] == value if name == "type" else event["data"].get(name) == value
            for name, value in query.items()
        )

    expected = [event for event in (of(organization) if organization else FEED) if selected(event)]
    headers = await events_key(feed.database_url, organization)
    assert (await lines(http, headers, **query))[0] == expected
    assert await pages(http, headers, limit=11, **query) == expected
    for after in (0, 1, 299, 300, 301, 650):
        behind = [event for event in expected if int(event["sequence"]) > after]
        page = (await http.get(EVENTS, params={**query, "after": after, "limit": 5}, headers=headers)).json()
        assert page["data"] == behind[:5]
        assert (page["meta"]["next_cursor"] is None) is (len(behind) <= 5 and page["meta"]["next_after"] == len(LOG))


async def test_a_page_says_where_to_go_on_from_and_in_the_products_words_too(http, math) -> None:
    expected = of("org_math")
    first = (await http.get(EVENTS, params={"limit": 3}, headers=math)).json()
    third = positions(expected)[2]
    assert first["success"] is True
    assert first["data"] == expected[:3]
    meta = first["meta"]
    assert meta["next_after"] == third
    assert {name: meta[name] for name in ("total", "limit", "offset")} == {"total": 0, "limit": 3, "offset": 0}
    by_cursor = await http.get(EVENTS, params={"limit": 3, "after": 0, "cursor": meta["next_cursor"]}, headers=math)
    by_position = await http.get(EVENTS, params={"limit": 3, "after": third}, headers=math)
    assert by_cursor.json()["data"] == by_position.json()["data"] == expected[3:6]
    # A hundred is what a page has if nobody asks.
    assert len((await http.get(EVENTS, headers=math)).json()["data"]) == 100


async def test_the_position_to_go_on_from_passes_what_a_filter_left_out(http, platform) -> None:
    only_the_first = {"type": KINDS["catalogue-published"]}
    page = (await http.get(EVENTS, params=only_the_first, headers=platform)).json()
    assert positions(page["data"]) == [1]
    assert page["meta"]["next_after"] == len(LOG)
    assert page["meta"]["next_cursor"] is None
    page = (await http.get(EVENTS, params={**only_the_first, "after": 5}, headers=platform)).json()
    assert page["data"] == []
    assert page["meta"]["next_after"] == len(LOG)


async def test_at_the_end_there_is_nothing_yet_and_no_error(http, platform, math) -> None:
    for headers in (platform, math):
        page = (await http.get(EVENTS, params={"after": len(LOG)}, headers=headers)).json()
        assert page["data"] == []
        assert page["meta"]["next_after"] == len(LOG)
        assert page["meta"]["next_cursor"] is None
        assert await lines(http, headers, after=len(LOG)) == ([], len(LOG))


@pytest.mark.parametrize("after", [len(LOG) + 1, 10**12, 2**63 - 1])
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_who_asks_from_beyond_the_end_is_told_where_the_log_ends(http, platform, math, after, accept) -> None:
    for headers in (platform, math):
        for limit in ({}, {"limit": 10}):
            response = await http.get(EVENTS, params={"after": after, **limit}, headers=headers | {"Accept": accept})
            assert response.status_code == 409
            error = response.json()["error"]
            assert error["code"] == "BEYOND_THE_END"
            assert error["details"] == {"after": f"the log ends at position {len(LOG)}"}


async def test_lines_can_have_a_limit_and_say_where_to_go_on_from(http, platform, math) -> None:
    for headers, expected in ((platform, FEED), (math, of("org_math"))):
        found, next_after = await lines(http, headers, limit=10)
        assert found == expected[:10]
        assert next_after == positions(expected)[9]
        assert (await lines(http, headers, after=next_after, limit=10))[0] == expected[10:20]


@whatever_the_index
@pytest.mark.parametrize(
    ("query", "field", "phrase"),
    [
        ("after=-1", "after", "must be greater than or equal to 0"),
        ("after=x", "after", "must be an integer"),
        ("after=1.5", "after", "must be an integer"),
        (f"after={2**63}", "after", f"must be less than or equal to {2**63 - 1}"),
        ("limit=0", "limit", "must be greater than or equal to 1"),
        ("limit=1001", "limit", "must be less than or equal to 1000"),
        ("type=toggled", "type", "unknown type"),
        ("type=", "type", "unknown type"),
        ("channel=fax", "channel", "unknown channel"),
        ("channel=fax&toggle=product_updates", "channel", "unknown channel"),
        ("toggle=product_news", "toggle", "unknown toggle"),
        ("toggle=security_alerts", "toggle", "unknown toggle"),
        ("cursor=x", "cursor", "must be one that this endpoint returned"),
        ("cursor=eyJ4IjogMX0=", "cursor", "must be one that this endpoint returned"),
        ("cursor=eyJwb3NpdGlvbiI6IC0xfQ==", "cursor", "must be one that this endpoint returned"),
    ],
)
async def test_a_wrong_value_is_told_and_never_an_empty_page(http, platform, query, field, phrase) -> None:
    for accept in ("application/json", "application/x-ndjson", "text/event-stream"):
        response = await http.get(f"{EVENTS}?{query}", headers=platform | {"Accept": accept})
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "VALIDATION_FAILED"
        assert response.json()["error"]["details"] == {field: phrase}


@whatever_the_index
@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("*/*", "application/json"),
        ("text/html, application/xml;q=0.9", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("Application/X-NDJSON; charset=utf-8", "application/x-ndjson"),
        ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("application/json, application/x-ndjson;q=0.5", "application/json"),
        ("application/x-ndjson;q=0", "application/json"),
        ("application/x-ndjson;q=much", "application/json"),
    ],
)
async def test_the_form_is_the_one_that_is_asked_for(http, platform, accept, answered) -> None:
    response = await http.get(f"{EVENTS}?limit=1", headers=platform | {"Accept": accept})
    assert response.headers["content-type"] == answered
    assert response.headers["cache-control"] == "private, no-cache"


@whatever_the_index
async def test_the_last_line_of_lines_says_how_many_they_are_if_it_is_asked_for(http, math) -> None:
    headers = math | {"Accept": "application/x-ndjson"}
    for query in ({}, {"limit": 3}, {"toggle": "billing_receipts"}, {"after": len(LOG)}):
        plain = (await http.get(EVENTS, headers=headers, params=query)).text.splitlines()
        answer = await http.get(EVENTS, headers=headers, params={**query, "trailer": "true"})
        *found, last = answer.text.splitlines()
        assert found == plain
        next_after = int(answer.headers["x-next-after"])
        assert json.loads(last) == {"end": True, "lines": len(plain), "next_after": next_after}


@whatever_the_index
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_only_lines_can_have_a_last_one(http, math, accept: str) -> None:
    answer = await http.get(EVENTS, headers=math | {"Accept": accept}, params={"trailer": "true"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"trailer": "must be absent but for application/x-ndjson"}
