"""What a PATCH may say: each row of the contract's table, and JSON that two readers could understand differently."""

import pytest

from domain.preferences import stream_id
from tests.support.patch_bodies import DIGEST_ON, in_chunks, toggles
from tests.support.server import PATH
from tests.support.tokens import bearer

DEFAULTS = {"product_updates": True, "delivery_alerts": True, "billing_receipts": True, "weekly_usage_digest": False}


async def test_a_toggle_that_changes_is_answered_and_recorded(http, fresh_user, events_of) -> None:
    user = fresh_user()
    response = await http.patch(PATH, content=DIGEST_ON, headers=bearer(user))
    assert response.status_code == 200
    assert response.json() == {"success": True, "data": {"email": {**DEFAULTS, "weekly_usage_digest": True}}}
    assert events_of(user) == 2  # the stream was opened, and the toggle changed


async def test_each_toggle_of_one_request_is_an_event_of_its_own_under_one_request_id(http, fresh_user, query) -> None:
    user = fresh_user()
    response = await http.patch(
        PATH, content=toggles(product_updates=False, delivery_alerts=False), headers=bearer(user)
    )
    assert response.json()["data"]["email"] == {**DEFAULTS, "product_updates": False, "delivery_alerts": False}
    states = query(
        "SELECT convert_from(state, 'UTF8') FROM preferences_events WHERE originator_id = %s ORDER BY 1",
        [stream_id("org_math", user)],
    )
    assert len(states) == 3
    assert all(response.headers["x-request-id"] in state for (state,) in states)


async def test_a_choice_that_equals_the_default_is_recorded_once(http, fresh_user, events_of) -> None:
    user = fresh_user()
    for _ in range(2):
        response = await http.patch(PATH, content=toggles(product_updates=True), headers=bearer(user))
        assert response.json()["data"]["email"] == DEFAULTS
        assert events_of(user) == 2


@pytest.mark.parametrize(
    "body", [b"", b" ", b" \t\r\n ", b"{}", b'{"email": {}}', b' {"email": {} }\n'], ids=lambda body: repr(body)
)
async def test_a_body_that_asks_for_nothing_changes_nothing(http, fresh_user, events_of, body: bytes) -> None:
    newcomer, chooser = fresh_user(), fresh_user()
    await http.patch(PATH, content=DIGEST_ON, headers=bearer(chooser))
    for user, expected, recorded in [
        (newcomer, DEFAULTS, 0),
        (chooser, {**DEFAULTS, "weekly_usage_digest": True}, 2),
    ]:
        response = await http.patch(PATH, content=body, headers=bearer(user))
        assert response.status_code == 200
        assert response.json() == {"success": True, "data": {"email": expected}}
        assert events_of(user) == recorded


async def test_a_body_in_many_small_pieces_is_one_body(http, fresh_user) -> None:
    response = await http.patch(PATH, content=in_chunks(DIGEST_ON, size=1), headers=bearer(fresh_user()))
    assert response.json()["data"]["email"]["weekly_usage_digest"] is True


async def test_the_body_of_a_get_is_of_no_interest(http, fresh_user) -> None:
    response = await http.request("GET", PATH, content=b"{not json", headers=bearer(fresh_user()))
    assert response.status_code == 200
