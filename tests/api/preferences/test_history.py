"""A user's own history: its shape, its pages, and whose it is."""

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.server import PATH
from tests.support.tokens import bearer

HISTORY = f"{PATH}/history"
CURSOR_REFUSED = {"cursor": "must be one that this endpoint returned"}
CURSOR_TOO_LONG = {"cursor": "must have at most 512 characters"}
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


@pytest.fixture
def change(http):
    """Makes a choice in a user's name; the response."""

    async def make(headers: dict[str, str], **values: bool) -> Any:
        response = await http.patch(PATH, content=json.dumps({"email": values}).encode(), headers=headers)
        assert response.status_code == 200
        return response

    return make


@pytest.fixture
def page(http):
    async def read(headers: dict[str, str], **parameters: Any) -> dict[str, Any]:
        response = await http.get(HISTORY, headers=headers, params=parameters)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "private, no-cache"
        return response.json()

    return read


async def switch(change, headers: dict[str, str], times: int) -> None:
    """As many recorded choices, on and off in turn, beginning with on."""
    for number in range(times):
        await change(headers, weekly_usage_digest=number % 2 == 0)


async def walk(page, headers: dict[str, str], limit: int) -> list[list[dict[str, Any]]]:
    pages, cursor = [], {}
    while True:
        answer = await page(headers, limit=limit, **cursor)
        pages.append(answer["data"])
        assert len(pages) < 50
        if answer["meta"]["next_cursor"] is None:
            return pages
        cursor = {"cursor": answer["meta"]["next_cursor"]}


async def test_an_entry_tells_what_was_chosen_when_by_whom_and_under_which_request(
    change, page, fresh_user, query
) -> None:
    user = fresh_user()
    before = datetime.now(UTC)
    response = await change(bearer(user), weekly_usage_digest=True)
    answer = await page(bearer(user))
    [entry] = answer["data"]

    stored = query(
        "SELECT state FROM preferences_events WHERE topic LIKE '%%toggled' ORDER BY notification_id DESC LIMIT 1"
    )
    assert entry == {
        "id": json.loads(stored[0][0])["event_id"],
        "occurred_at": entry["occurred_at"],
        "channel": "email",
        "toggle": "weekly_usage_digest",
        "enabled": True,
        "previous": None,
        "actor": {"kind": "customer", "label": user},
        "source": "dashboard",
        "request_id": response.headers["x-request-id"],
    }
    assert ULID.fullmatch(entry["id"])
    assert entry["occurred_at"].endswith("Z")
    assert before <= datetime.fromisoformat(entry["occurred_at"]) <= datetime.now(UTC)
    assert answer == {
        "success": True,
        "data": [entry],
        "meta": {"total": 0, "limit": 50, "offset": 0, "next_cursor": None},
    }


async def test_who_never_chose_has_an_empty_history(http, page, fresh_user) -> None:
    headers = bearer(fresh_user())
    await http.get(PATH, headers=headers)
    await http.patch(PATH, content=b"{}", headers=headers)
    assert (await page(headers)) == {
        "success": True,
        "data": [],
        "meta": {"total": 0, "limit": 50, "offset": 0, "next_cursor": None},
    }


async def test_the_newest_comes_first_with_the_choice_before_it(change, page, fresh_user) -> None:
    headers = bearer(fresh_user())
    await change(headers, weekly_usage_digest=True)
    await change(headers, product_updates=True)
    await change(headers, weekly_usage_digest=True)  # a repetition: no entry
    await change(headers, weekly_usage_digest=False)
    await change(headers, weekly_usage_digest=True)
    data = (await page(headers))["data"]
    assert [(entry["toggle"], entry["enabled"], entry["previous"]) for entry in data] == [
        ("weekly_usage_digest", True, False),
        ("weekly_usage_digest", False, True),
        ("product_updates", True, None),
        ("weekly_usage_digest", True, None),
    ]
    assert len({entry["id"] for entry in data}) == 4
    assert [entry["occurred_at"] for entry in data] == sorted((entry["occurred_at"] for entry in data), reverse=True)


async def test_choices_of_one_request_are_entries_of_their_own(change, page, fresh_user) -> None:
    headers = bearer(fresh_user())
    response = await change(headers, product_updates=False, delivery_alerts=False)
    data = (await page(headers))["data"]
    assert {entry["toggle"] for entry in data} == {"product_updates", "delivery_alerts"}
    assert {entry["request_id"] for entry in data} == {response.headers["x-request-id"]}
    assert len({entry["id"] for entry in data}) == 2


@pytest.mark.parametrize("limit", range(1, 9))
async def test_the_pages_hold_every_entry_once_and_the_last_one_says_so(change, page, fresh_user, limit: int) -> None:
    headers = bearer(fresh_user())
    await switch(change, headers, 7 if limit < 8 else 8)
    everything = (await page(headers))["data"]

    pages = await walk(page, headers, limit)

    assert [entry for part in pages for entry in part] == everything
    # No empty page at the end, not even where the count is a multiple of the limit.
    assert [len(part) for part in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 1 <= len(pages[-1]) <= limit


async def test_new_changes_leave_no_gap_in_the_pages_and_repeat_nothing(change, page, fresh_user) -> None:
    headers = bearer(fresh_user())
    await switch(change, headers, 7)
    everything = (await page(headers))["data"]
    for limit in (1, 2, 3, 7):
        seen, answer = [], await page(headers, limit=limit)
        expected = (await page(headers))["data"]
        while True:
            seen += answer["data"]
            if answer["meta"]["next_cursor"] is None:
                break
            await change(headers, product_updates=len(seen) % 2 == 0)
            answer = await page(headers, limit=limit, cursor=answer["meta"]["next_cursor"])
        assert seen == expected
        assert seen[-7:] == everything


async def test_a_page_can_be_asked_for_again(change, page, fresh_user) -> None:
    headers = bearer(fresh_user())
    await switch(change, headers, 5)
    cursor = (await page(headers, limit=2))["meta"]["next_cursor"]
    assert await page(headers, limit=2, cursor=cursor) == await page(headers, limit=2, cursor=cursor)
    assert len((await page(headers, limit=200, cursor=cursor))["data"]) == 3


async def test_a_page_has_50_entries_unless_asked_otherwise_and_up_to_200(change, page, fresh_user) -> None:
    headers = bearer(fresh_user())
    await switch(change, headers, 202)
    for limit, parameters in ((50, {}), (1, {"limit": 1}), (200, {"limit": 200})):
        answer = await page(headers, **parameters)
        assert len(answer["data"]) == answer["meta"]["limit"] == limit
        assert answer["meta"]["next_cursor"] is not None
    assert [len(part) for part in await walk(page, headers, 101)] == [101, 101]


@pytest.mark.parametrize(
    ("limit", "phrase"),
    [
        ("0", "must be greater than or equal to 1"),
        ("-1", "must be greater than or equal to 1"),
        ("201", "must be less than or equal to 200"),
        ("9" * 30, "must be less than or equal to 200"),
        ("9" * 5000, "must be an integer"),
        ("abc", "must be an integer"),
        ("", "must be an integer"),
        ("1.5", "must be an integer"),
        ("null", "must be an integer"),
        ("1,2", "must be an integer"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_bad_limit_is_named(http, fresh_user, limit: str, phrase: str) -> None:
    response = await http.get(HISTORY, params={"limit": limit}, headers=bearer(fresh_user()))
    assert_refused(response, {"limit": phrase})


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


BAD_CURSORS = {
    "empty": "",
    "garbage": "garbage",
    "no base64": "***",
    "beyond ASCII": "ünïcode",
    "NUL": "\0",
    "base64 of no JSON": base64.urlsafe_b64encode(b"garbage").decode(),
    "base64 of no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
    "null": encoded(None),
    "number": encoded(1),
    "string": encoded("version"),
    "list": encoded([1, "x"]),
    "empty object": encoded({}),
    "no id": encoded({"version": 2}),
    "no version": encoded({"id": "x"}),
    "version null": encoded({"version": None, "id": "x"}),
    "version true": encoded({"version": True, "id": "x"}),
    "version text": encoded({"version": "2", "id": "x"}),
    "version float": encoded({"version": 2.0, "id": "x"}),
    "version zero": encoded({"version": 0, "id": "x"}),
    "version negative": encoded({"version": -1, "id": "x"}),
    "version largest": encoded({"version": 2**63 - 1, "id": "x"}),
    "version beyond the largest": encoded({"version": 2**63, "id": "x"}),
    "version of 300 digits": encoded({"version": 10**300, "id": "x"}),
    "id null": encoded({"version": 2, "id": None}),
    "id a list": encoded({"version": 2, "id": []}),
    "id of nobody": encoded({"version": 2, "id": "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"}),
    "id a lone surrogate": encoded({"version": 2, "id": "\ud800"}),
    "the opening event": encoded({"version": 1, "id": "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"}),
    "200 brackets": base64.urlsafe_b64encode(b"[" * 200).decode(),
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
async def test_a_bad_cursor_is_named(http, change, fresh_user, cursor: str) -> None:
    headers = bearer(fresh_user())
    await switch(change, headers, 2)
    assert_refused(await http.get(HISTORY, params={"cursor": cursor}, headers=headers), CURSOR_REFUSED)


@pytest.mark.parametrize("length", [513, 5000])
async def test_a_long_cursor_is_none_of_ours(http, fresh_user, length: int) -> None:
    response = await http.get(HISTORY, params={"cursor": "A" * length}, headers=bearer(fresh_user()))
    assert_refused(response, CURSOR_TOO_LONG)


@pytest.mark.parametrize(
    ("query_string", "details"),
    [
        ("toggle=weekly_usage_digest", {"toggle": "unknown parameter"}),
        ("limit=1&limit=2", {"limit": "must be given once"}),
    ],
)
async def test_a_parameter_that_is_unknown_or_repeated_is_named(http, fresh_user, query_string, details) -> None:
    assert_refused(await http.get(f"{HISTORY}?{query_string}", headers=bearer(fresh_user())), details)


async def test_a_cursor_is_good_for_its_own_history_only(http, change, page, fresh_user) -> None:
    user, other = fresh_user(), fresh_user()
    for headers in (bearer(user), bearer(other), bearer(user, "org_chess")):
        await switch(change, headers, 3)
    cursor = (await page(bearer(user), limit=1))["meta"]["next_cursor"]
    for headers in (bearer(other), bearer(user, "org_chess"), bearer(user, None)):
        assert_refused(await http.get(HISTORY, params={"cursor": cursor}, headers=headers), CURSOR_REFUSED)


async def test_every_wrong_value_is_named_at_once(http, fresh_user) -> None:
    response = await http.get(HISTORY, params={"limit": "0", "cursor": "A" * 513}, headers=bearer(fresh_user()))
    assert_refused(response, {"limit": "must be greater than or equal to 1"} | CURSOR_TOO_LONG)


async def test_another_organization_of_the_same_user_has_a_history_of_its_own(change, page, fresh_user) -> None:
    user = fresh_user()
    await change(bearer(user, "org_math"), product_updates=False)
    await change(bearer(user, "org_chess"), delivery_alerts=False)
    await change(bearer(user, None), billing_receipts=False)
    toggles = {
        organization: [entry["toggle"] for entry in (await page(bearer(user, organization)))["data"]]
        for organization in ("org_math", "org_chess", None)
    }
    assert toggles == {"org_math": ["product_updates"], "org_chess": ["delivery_alerts"], None: ["billing_receipts"]}


async def test_an_api_key_has_no_history(http, api_key) -> None:
    for query_string in ("", "?limit=0", "?cursor=garbage"):
        response = await http.get(HISTORY + query_string, headers={"Authorization": f"Bearer {api_key}"})
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "USER_REQUIRED"


def assert_refused(response: Any, details: dict[str, str]) -> None:
    assert response.status_code == 422
    assert response.json() == {
        "success": False,
        "error": {
            "code": "VALIDATION_FAILED",
            "message": "validation failed",
            "details": details,
            "request_id": response.headers["x-request-id"],
        },
    }
