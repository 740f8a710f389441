"""Entity tags, and requests that depend on them."""

import asyncio
import json
from http.client import HTTPConnection

import pytest

from domain.preferences import stream_id
from tests.support.catalogues import answered
from tests.support.raw_http import exchange, request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

STALE = '"0123456789abcdef01234567"'
DIGEST_ON = b'{"email": {"weekly_usage_digest": true}}'
DIGEST_OFF = b'{"email": {"weekly_usage_digest": false}}'


@pytest.fixture
async def tagged(http, fresh_user):
    """A user who has chosen once: the headers to call with, and the tag of the state."""
    headers = bearer(fresh_user())
    response = await http.patch(PATH, content=DIGEST_ON, headers=headers)
    return headers, response.headers["etag"]


async def tag(http, headers: dict[str, str]) -> str:
    return (await http.get(PATH, headers=headers)).headers["etag"]


def stale_or(tag: str) -> str:
    return f"{STALE}, {tag}"


async def test_a_tag_is_strong_and_the_same_for_both_methods(http, fresh_user) -> None:
    headers = bearer(fresh_user())
    for body in (b"", DIGEST_ON, b"{}", DIGEST_OFF):
        answer = await http.patch(PATH, content=body, headers=headers)
        assert answer.headers["etag"].startswith('"')
        assert answer.headers["etag"].endswith('"')
        assert await tag(http, headers) == answer.headers["etag"]


async def test_the_tag_changes_with_each_recorded_choice_and_with_nothing_else(http, fresh_user) -> None:
    headers = bearer(fresh_user())
    seen = [await tag(http, headers)]
    for body in (
        DIGEST_ON,
        DIGEST_OFF,
        DIGEST_ON,
        # Equal to the default: the answer stays, but from here on it is a choice, which a new default won't touch.
        b'{"email": {"product_updates": true}}',
        b'{"email": {"product_updates": false, "delivery_alerts": false}}',
    ):
        answer = await http.patch(PATH, content=body, headers=headers)
        seen.append(answer.headers["etag"])
        for nothing in (b"", b"{}", b'{"email": {}}', body):
            assert (await http.patch(PATH, content=nothing, headers=headers)).headers["etag"] == seen[-1]
        for refused in (b"{", b'{"fax": {}}', b'{"email": {"weekly_usage_digest": 1}}'):
            assert "etag" not in (await http.patch(PATH, content=refused, headers=headers)).headers
        assert await tag(http, headers) == seen[-1]
    assert len(set(seen)) == len(seen)


async def test_equal_answers_of_different_organizations_have_different_tags(http, fresh_user) -> None:
    user = fresh_user()
    tags = [await tag(http, bearer(user, organization)) for organization in ("org_math", "org_chess", None)]
    assert len(set(tags)) == 3


@pytest.mark.parametrize(
    "condition",
    [
        "{tag}",
        "W/{tag}",
        "*",
        '"other", {tag}',
        '"other",{tag}',
        '{tag}, "other"',
        '"with, comma", W/{tag}',
        '"", {tag}',
        # As proxies write it that have compressed the answer: Apache, Envoy, Jetty, and each behind the other.
        '"{bare}-gzip"',
        'W/"{bare}-gzip"',
        '"{bare}-br", "other-gzip"',
        '"{bare};gzip"',
        '"{bare}:zstd"',
        '"{bare}-gzip-br"',
    ],
)
async def test_who_knows_the_state_is_told_so_without_a_body(http, tagged, condition: str) -> None:
    headers, current = tagged
    value = condition.replace("{tag}", current).replace("{bare}", current.strip('"'))
    response = await http.get(PATH, headers=headers | {"If-None-Match": value})
    assert response.status_code == 304
    assert response.content == b""
    assert "content-length" not in response.headers
    assert "content-type" not in response.headers
    assert response.headers["etag"] == current
    assert len(response.headers["x-request-id"]) == 26
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["vary"] == "Authorization"


def test_after_a_304_the_connection_serves_on(server, fresh_user) -> None:
    headers = bearer(fresh_user())
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    for _ in range(3):
        connection.request("GET", PATH, headers=headers | {"If-None-Match": "*"})
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.will_close) == (304, b"", False)
        connection.request("GET", PATH, headers=headers)
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (200, int(answer.headers["content-length"]))
    connection.close()


def test_several_headers_of_one_condition_are_one_list(server, fresh_user) -> None:
    headers = [*bearer(fresh_user()).items()]
    current = exchange(server.url, request_head("GET", PATH, *headers)).headers["etag"]
    conditions = [("If-None-Match", STALE), ("If-None-Match", current)]
    assert exchange(server.url, request_head("GET", PATH, *headers, *conditions)).status == 304
    conditions = [("If-Match", STALE), ("If-Match", current), ("Content-Length", "0")]
    assert exchange(server.url, request_head("PATCH", PATH, *headers, *conditions)).status == 200


@pytest.mark.parametrize(
    "condition",
    [STALE, f"W/{STALE}", "", "nonsense", '"', '""', "W/", "**", '"*"', "{bare}", '"{bare}', "w/{tag}x"],
)
async def test_who_does_not_know_the_state_is_answered_in_full(http, tagged, condition: str) -> None:
    headers, current = tagged
    value = condition.replace("{bare}", current.strip('"'))
    response = await http.get(PATH, headers=headers | {"If-None-Match": value})
    assert response.status_code == 200
    assert response.json()["data"]["email"]["weekly_usage_digest"] is True


async def test_the_tag_of_another_organization_is_not_known_here(http, fresh_user) -> None:
    user = fresh_user()
    theirs = await tag(http, bearer(user, "org_chess"))
    response = await http.get(PATH, headers=bearer(user) | {"If-None-Match": theirs})
    assert response.status_code == 200
    response = await http.patch(PATH, content=DIGEST_ON, headers=bearer(user) | {"If-Match": theirs})
    assert response.status_code == 412


async def test_the_tag_of_an_earlier_state_is_not_known_any_more(http, tagged) -> None:
    headers, old = tagged
    await http.patch(PATH, content=DIGEST_OFF, headers=headers)
    assert (await http.get(PATH, headers=headers | {"If-None-Match": old})).status_code == 200
    # The answer is as it was, and a choice was recorded nevertheless, so the state has moved on.
    await http.patch(PATH, content=DIGEST_ON, headers=headers)
    assert (await http.get(PATH, headers=headers | {"If-None-Match": old})).status_code == 200


@pytest.mark.parametrize(
    "condition",
    [
        "{tag}",
        "*",
        "{stale}, {tag}",
        "{tag},{stale}",
        'W/"x", {tag}',
        "W/{tag}",
        "{stale}, W/{tag}",
        '"{bare}-gzip"',
        'W/"{bare}-br"',
        '"{bare};gzip"',
        '{stale}, "{bare}-zstd"',
    ],
)
async def test_a_change_is_made_if_the_state_is_the_expected_one(http, tagged, condition: str) -> None:
    headers, current = tagged
    value = condition.replace("{tag}", current).replace("{stale}", STALE).replace("{bare}", current.strip('"'))
    response = await http.patch(PATH, content=DIGEST_OFF, headers=headers | {"If-Match": value})
    assert response.status_code == 200
    assert response.json()["data"]["email"]["weekly_usage_digest"] is False
    assert response.headers["etag"] != current


@pytest.mark.parametrize("body", [DIGEST_OFF, DIGEST_ON, b"{}", b""], ids=["change", "repetition", "empty", "no body"])
@pytest.mark.parametrize(
    "condition",
    [
        STALE,
        f"W/{STALE}",
        STALE.replace('7"', '7-gzip"'),
        '"{bare}-gz"',
        '"{bare}x"',
        '"-gzip{bare}"',
        "",
        "nonsense",
        '"',
        "{bare}",
        "**",
        f"{STALE} *",
    ],
)
async def test_nothing_changes_if_the_state_is_not_the_expected_one(
    http, tagged, query, condition: str, body: bytes
) -> None:
    headers, current = tagged
    events = query("SELECT count(*) FROM preferences_events")
    value = condition.replace("{tag}", current).replace("{bare}", current.strip('"'))
    response = await http.patch(PATH, content=body, headers=headers | {"If-Match": value})
    assert response.status_code == 412
    assert response.json()["error"] == {
        "code": "PRECONDITION_FAILED",
        "message": "preferences have changed",
        "request_id": response.headers["x-request-id"],
    }
    assert await tag(http, headers) == current
    assert query("SELECT count(*) FROM preferences_events") == events


async def test_a_newcomer_has_a_state_to_expect_too(http, fresh_user) -> None:
    headers = bearer(fresh_user())
    current = await tag(http, headers)
    first = await http.patch(PATH, content=DIGEST_ON, headers=headers | {"If-Match": current})
    again = await http.patch(PATH, content=DIGEST_OFF, headers=headers | {"If-Match": current})
    assert (first.status_code, again.status_code) == (200, 412)


async def test_if_none_match_is_for_reading_and_if_match_for_changing(http, tagged) -> None:
    headers, current = tagged
    assert (await http.get(PATH, headers=headers | {"If-Match": STALE})).status_code == 200
    response = await http.patch(PATH, content=DIGEST_OFF, headers=headers | {"If-None-Match": current})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b" " * 20_000, 413),
        (b"[]", 422),
        (b'{"fax": {}}', 422),
        (b'{"email": {"security_alerts": true}}', 422),
    ],
    ids=["malformed", "too large", "no object", "unknown", "immutable"],
)
async def test_a_fault_of_the_body_is_told_before_a_stale_tag(http, tagged, body: bytes, status: int) -> None:
    headers, _ = tagged
    assert (await http.patch(PATH, content=body, headers=headers | {"If-Match": STALE})).status_code == status


async def test_of_changes_that_expect_the_same_state_exactly_one_is_made(http, fresh_user, query) -> None:
    toggles = ["product_updates", "delivery_alerts", "billing_receipts", "weekly_usage_digest"]
    for _ in range(10):
        user = fresh_user()
        headers = bearer(user)
        current = await tag(http, headers)
        wanted = [json.dumps({"email": {name: name == "weekly_usage_digest"}}).encode() for name in toggles]
        answers = await asyncio.gather(
            *(http.patch(PATH, content=body, headers=headers | {"If-Match": current}) for body in wanted)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        [winner] = [answer for answer in answers if answer.status_code == 200]
        after = await http.get(PATH, headers=headers)
        assert (after.json(), after.headers["etag"]) == (winner.json(), winner.headers["etag"])
        [(events,)] = query(
            "SELECT count(*) FROM preferences_events WHERE originator_id = %s", [stream_id("org_math", user)]
        )
        assert events == 2  # the stream was opened, and one toggle changed


async def test_without_a_condition_no_change_of_the_same_moment_is_refused(http, fresh_user) -> None:
    headers = bearer(fresh_user())
    wanted = {
        "product_updates": False,
        "delivery_alerts": False,
        "billing_receipts": False,
        "weekly_usage_digest": True,
    }
    answers = await asyncio.gather(
        *(
            http.patch(PATH, content=json.dumps({"email": {name: value}}).encode(), headers=headers)
            for name, value in wanted.items()
        )
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert (await http.get(PATH, headers=headers)).json()["data"] == answered(**wanted)
