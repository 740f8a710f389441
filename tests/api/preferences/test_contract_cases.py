"""The wire contract's own examples, against a real server on a real PostgreSQL."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from tests.support.tokens import bearer

CONTRACT = json.loads((Path(__file__).parents[2] / "golden" / "contract_cases.json").read_text())
DEFAULTS = CATALOGUE.resolve({})

# The contract's example of a channel that doesn't exist. It is coming; from then on another one stands for it here.
IN_APP, NO_CHANNEL = "in_app", "fax"


def with_the_rest(answer: dict[str, dict[str, bool]]) -> dict[str, dict[str, bool]]:
    """The contract's answer, with the defaults of what the catalogue got since. What the contract names stays as it says."""
    return DEFAULTS | {channel: DEFAULTS[channel] | toggles for channel, toggles in answer.items()}


def of_today(case: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(case).replace(IN_APP, NO_CHANNEL)) if IN_APP in DEFAULTS else case


def test_the_catalogue_has_all_that_the_contract_names_with_its_defaults() -> None:
    """Whatever is added: these four can be chosen, and this is what a newcomer gets."""
    named = {"product_updates": True, "delivery_alerts": True, "billing_receipts": True, "weekly_usage_digest": False}
    assert named.items() <= DEFAULTS["email"].items()
    alerts = CATALOGUE.toggle("email", "security_alerts")
    assert alerts is not None
    assert alerts.mandatory


@pytest.mark.parametrize("case", [of_today(case) for case in CONTRACT["cases"]], ids=lambda case: case["name"])
async def test_contract(case: dict[str, Any], http, fresh_user, query, api_key) -> None:
    user = fresh_user()
    credentials = {"session": lambda: bearer(user), "api-key": lambda: {"Authorization": f"Bearer {api_key}"}}
    token = case.get("token", "session")
    headers = credentials[token]() if token else {}
    for step in case["steps"]:
        content = (
            step["raw"].encode() if "raw" in step else json.dumps(step["body"]).encode() if "body" in step else None
        )
        response = await http.request(step["method"], CONTRACT["path"], content=content, headers=headers)
        assert response.status_code == step["status"]
        body = response.json()
        if "data" in step:
            assert body == {"success": True, "data": with_the_rest(step["data"])}
        if "code" in step:
            assert body["success"] is False
            assert body["error"]["code"] == step["code"]
            assert body["error"]["request_id"] == response.headers["x-request-id"]
            assert body["error"].get("details", {}) == step.get("details", {})
        if "message" in step:
            assert body["error"]["message"] == step["message"]
        if "events" in step:
            topic = "notification-preferences.toggled"
            stream = stream_id("org_math", user)
            rows = query("SELECT 1 FROM preferences_events WHERE originator_id = %s AND topic = %s", [stream, topic])
            assert len(rows) == step["events"]
