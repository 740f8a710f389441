"""Questions of others about a user."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tests.support.tokens import bearer

ADMIN = bearer("user_grace", role="admin")
SLASHES = ["{}/b", "{}//b", "{}/", "{}/notifications", "{}/notifications/history", "{}/evidence", "{}/?#%2F"]
"""Users' ids with slashes, made of the id of another user."""


def path_of(user: str, what: str = "notifications") -> str:
    return f"/v1/users/{quote(user, safe='')}/{what}"


def now() -> str:
    return datetime.now(UTC).isoformat()


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
