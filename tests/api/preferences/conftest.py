"""Bodies that are refused, and the events of a user."""

from typing import Any

import pytest

from domain.preferences import stream_id
from tests.support.patch_bodies import DIGEST_ON
from tests.support.server import PATH
from tests.support.tokens import bearer

REFUSALS = {
    "INVALID_INPUT": (400, "malformed JSON"),
    "PAYLOAD_TOO_LARGE": (413, "request body too large"),
    "UNKNOWN_NOTIFICATION_KEY": (422, "unknown notification key"),
    "IMMUTABLE_NOTIFICATION_KEY": (422, "immutable notification key"),
    "VALIDATION_FAILED": (422, "validation failed"),
}


@pytest.fixture
def events_of(query):
    """How many events a user's stream has, the opening one included."""

    def count(user: str) -> int:
        return query("SELECT count(*) FROM preferences_events WHERE originator_id = %s", [stream_id("org_math", user)])[
            0
        ][0]

    return count


@pytest.fixture
def refused(http, fresh_user, events_of):
    """Sends a body for a user who has chosen once, and checks that it is refused exactly so and changes nothing."""

    async def check(body: bytes, code: str, details: dict[str, str] | None) -> None:
        user = fresh_user()
        before = await http.patch(PATH, content=DIGEST_ON, headers=bearer(user))
        assert before.status_code == 200
        recorded = events_of(user)

        response = await http.patch(PATH, content=body, headers=bearer(user))

        status, message = REFUSALS[code]
        error: dict[str, Any] = {"code": code, "message": message, "request_id": response.headers["x-request-id"]}
        if details is not None:
            error["details"] = details
        assert response.status_code == status
        assert response.json() == {"success": False, "error": error}
        assert events_of(user) == recorded
        after = await http.get(PATH, headers=bearer(user))
        assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])

    return check
