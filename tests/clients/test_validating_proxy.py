"""Prism as a proxy, which compares every request and every answer with the API's description."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.conftest import DESCRIPTION
from tests.support.ports import free_port
from tests.support.server import PATH
from tests.support.tokens import bearer

ADMIN = bearer("user_grace", role="admin")
ENDLESS = "text/event-stream"
"""The live feed. The proxy compares an answer when it has all of it."""
PARAMETERS = {
    "/v1/audit-log": {"enabled": "true", "include": "payload"},
    "/v1/users/{user_id}/notifications": {"include": "explain"},
}


@contextmanager
def prism(program: Path, description: Path, service: str) -> Iterator[httpx.Client]:
    port = free_port()
    proxy = subprocess.Popen(
        [program, "proxy", "--host", "127.0.0.1", "--port", str(port), "--errors", description, service],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            deadline = time.monotonic() + 60  # Node takes its time on a busy machine.
            while time.monotonic() < deadline:
                try:
                    client.get("/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        proxy.terminate()
        proxy.communicate(timeout=20)


@pytest.fixture(scope="module")
def proxied(from_npm: Callable[[str], Path], filled) -> Iterator[httpx.Client]:
    with prism(from_npm("prism"), DESCRIPTION, filled.url) as client:
        yield client


def test_every_operation_answers_as_described_in_each_of_its_forms(
    proxied: httpx.Client, document: dict[str, Any], uncalled: Callable[[], list[str]]
) -> None:
    question: dict[str, Any] = {"channel": "email", "toggle": "product_updates", "users": ["user_ada", "user_nobody"]}
    answers = [
        proxied.patch(PATH, headers=ADMIN, json={"email": {"weekly_usage_digest": True}}),
        proxied.post("/v1/decisions", headers=ADMIN, json=question),
    ]
    for path, item in document["paths"].items():
        forms = item["get"]["responses"]["200"]["content"] if "get" in item else {}
        for form in forms.keys() - {ENDLESS}:
            url, accept = path.format(user_id="user_ada"), {"Accept": form}
            answers.append(proxied.get(url, params=PARAMETERS.get(path), headers=ADMIN | accept))
            assert answers[-1].headers["content-type"].startswith(form), path
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert "sl-violations" not in answer.headers
    assert uncalled() == []


def test_an_answer_that_is_not_as_described_is_seen(from_npm, filled, document, tmp_path: Path) -> None:
    # Negative control: lines of JSON whose media type has the schema of one of them.
    lines = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["application/x-ndjson"]
    lines["schema"] = lines["x-item-schema"]
    wrong = tmp_path / "openapi.json"
    wrong.write_text(json.dumps(document))
    with prism(from_npm("prism"), wrong, filled.url) as client:
        answer = client.get("/v1/events", headers={**ADMIN, "Accept": "application/x-ndjson"})
        assert answer.status_code == 500
        assert answer.json()["type"].endswith("#VIOLATIONS")
