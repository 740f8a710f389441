"""Changes of preferences as their user makes them, and looks at them from outside."""

import json
from typing import Any

import httpx
import pytest

from tests.support.server import PATH
from tests.support.tokens import bearer
from tests.support.user_questions import ADMIN, path_of


@pytest.fixture
def change(http):
    async def make(user: str, organization: str | None = "org_math", **values: bool) -> httpx.Response:
        body = json.dumps({"email": values}).encode()
        response = await http.patch(PATH, content=body, headers=bearer(user, organization))
        assert response.status_code == 200
        return response

    return make


@pytest.fixture
def look(http):
    async def read(user: str, headers: dict[str, str] = ADMIN, **parameters: str) -> dict[str, Any]:
        response = await http.get(path_of(user), params=parameters, headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "private, no-cache"
        body = response.json()
        assert set(body) == {"success", "data"}
        return body["data"]

    return read
