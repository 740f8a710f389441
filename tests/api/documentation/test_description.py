"""The API's own description: that it is the published one, that it is precise, and that the service keeps to it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.closed_answers import closed
from tests.support.forked import COMMAND
from tests.support.server import PATH
from tests.support.soak import rounds, soak
from tests.support.tokens import session_token

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "openapi.json"
HISTORY = f"{PATH}/history"
DECISIONS = "/v1/decisions"
OF_USER = "/v1/users/{user_id}/notifications"
HISTORY_OF_USER = f"{OF_USER}/history"
AUDIT_LOG = "/v1/audit-log"
READS = f"{AUDIT_LOG}/reads"
CHECKPOINT = f"{AUDIT_LOG}/checkpoint"
CATALOGUES = f"{AUDIT_LOG}/catalogues"
EVIDENCE = "/v1/users/{user_id}/evidence"
AUDIT_SUMMARY = "/v1/audit-log/summary"
EVENTS = "/v1/events"
CATALOGUE_PATH = "/v1/notifications/catalogue"

STATUSES = {
    ("get", PATH): {"200", "304", "401", "403", "500", "503"},
    ("patch", PATH): {"200", "400", "401", "403", "412", "413", "422", "429", "500", "503"},
    ("get", HISTORY): {"200", "401", "403", "422", "500", "503"},
    ("get", CATALOGUE_PATH): {"200", "304", "401", "500", "503"},
    ("post", DECISIONS): {"200", "400", "401", "403", "413", "422", "500", "503"},
    ("get", OF_USER): {"200", "401", "403", "404", "422", "500", "503"},
    ("get", HISTORY_OF_USER): {"200", "401", "403", "404", "422", "500", "503"},
    ("get", AUDIT_LOG): {"200", "401", "403", "422", "500", "503"},
    ("get", READS): {"200", "401", "403", "422", "500", "503"},
    ("get", CHECKPOINT): {"200", "401", "403", "404", "422", "500", "503"},
    ("get", CATALOGUES): {"200", "401", "403", "422", "500", "503"},
    ("get", EVIDENCE): {"200", "401", "403", "404", "422", "500", "503"},
    ("get", AUDIT_SUMMARY): {"200", "401", "403", "422", "500", "503"},
    ("get", EVENTS): {"200", "401", "403", "409", "422", "500", "503"},
    ("get", "/healthz"): {"200", "405", "500"},
    ("get", "/readyz"): {"200", "405", "500", "503"},
    ("get", "/metrics"): {"200", "405", "500"},
}
BEFORE_ANY_OPERATION = {"REQUEST_TIMEOUT": "408", "HEADERS_TOO_LARGE": "431"}
"""What a request to any operation can be answered while it is read."""

ERRORS = {
    ("patch", PATH): {
        "INVALID_INPUT",
        "UNAUTHORIZED",
        "USER_REQUIRED",
        "PRECONDITION_FAILED",
        "PAYLOAD_TOO_LARGE",
        "UNKNOWN_NOTIFICATION_KEY",
        "IMMUTABLE_NOTIFICATION_KEY",
        "VALIDATION_FAILED",
        "RATE_LIMITED",
        "INTERNAL",
        "UNAVAILABLE",
    },
    ("get", PATH): {"UNAUTHORIZED", "USER_REQUIRED", "INTERNAL", "UNAVAILABLE"},
    ("get", CATALOGUE_PATH): {"UNAUTHORIZED", "INTERNAL", "UNAVAILABLE"},
    ("get", HISTORY): {"UNAUTHORIZED", "USER_REQUIRED", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    ("post", DECISIONS): {
        "INVALID_INPUT",
        "UNAUTHORIZED",
        "FORBIDDEN",
        "PAYLOAD_TOO_LARGE",
        "UNKNOWN_NOTIFICATION_KEY",
        "VALIDATION_FAILED",
        "INTERNAL",
        "UNAVAILABLE",
    },
    ("get", OF_USER): {"UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    ("get", HISTORY_OF_USER): {
        "UNAUTHORIZED",
        "FORBIDDEN",
        "NOT_FOUND",
        "VALIDATION_FAILED",
        "INTERNAL",
        "UNAVAILABLE",
    },
    ("get", AUDIT_LOG): {"UNAUTHORIZED", "FORBIDDEN", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    ("get", READS): {"UNAUTHORIZED", "FORBIDDEN", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    ("get", CATALOGUES): {"UNAUTHORIZED", "FORBIDDEN", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    **{
        ("get", path): {"UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"}
        for path in (CHECKPOINT, EVIDENCE)
    },
    ("get", AUDIT_SUMMARY): {"UNAUTHORIZED", "FORBIDDEN", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    ("get", EVENTS): {"UNAUTHORIZED", "FORBIDDEN", "BEYOND_THE_END", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
}


def examples(content: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return named + [content[name] for name in ("example",) if name in content]


def test_the_golden_copy_is_what_the_command_prints() -> None:
    printed = subprocess.run([COMMAND, "openapi"], capture_output=True, text=True, check=True)
    assert printed.stdout == GOLDEN.read_text(), "the API's description has changed: `make openapi` renews the copy"
    assert printed.stderr == ""


async def test_the_golden_copy_is_what_is_served(http, document) -> None:
    response = await http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document


def test_every_operation_tells_every_status_that_it_can_answer(operations) -> None:
    expected = {operation: statuses | set(BEFORE_ANY_OPERATION.values()) for operation, statuses in STATUSES.items()}
    assert {operation: set(of["responses"]) for operation, of in operations.items()} == expected


@pytest.mark.parametrize("operation", ERRORS, ids="-".join)
def test_every_operation_tells_every_error_that_it_can_answer(operations, operation) -> None:
    codes = {
        example["error"]["code"]
        for response in operations[operation]["responses"].values()
        for content in response.get("content", {}).values()
        for example in examples(content)
        if isinstance(example, dict) and not example.get("success", True)
    }
    assert codes == ERRORS[operation] | set(BEFORE_ANY_OPERATION)


def test_what_any_request_can_be_answered_is_described_in_one_place(document) -> None:
    codes = {
        name: list(of["content"]["application/json"]["examples"])
        for name, of in document["components"]["responses"].items()
    }
    assert codes == {
        "NotFound": ["NOT_FOUND"],
        "MethodNotAllowed": ["METHOD_NOT_ALLOWED"],
        "RequestTimeout": ["REQUEST_TIMEOUT"],
        "HeadersTooLarge": ["HEADERS_TOO_LARGE"],
    }
    assert "Allow" in document["components"]["responses"]["MethodNotAllowed"]["headers"]


def test_each_operation_is_described_in_words_of_its_own(operations) -> None:
    for of in operations.values():
        assert of["operationId"]
        assert of["tags"]
        assert len(of["summary"]) > 10
        assert len(of["description"]) > 40
        assert all(response["description"] for response in of["responses"].values())
    assert len({of["summary"] for of in operations.values()}) == len(operations)
    assert len({of["operationId"] for of in operations.values()}) == len(operations)


def test_a_session_token_is_asked_for_where_one_is_needed(document, operations) -> None:
    scheme = document["components"]["securitySchemes"]["clerkJWT"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert document["components"]["securitySchemes"]["apiKey"]["type"] == "http"
    for (_, path), of in operations.items():
        if path.startswith("/v1/me/"):
            assert of["security"] == [{"clerkJWT": []}]
        elif path.startswith("/v1/"):
            assert of["security"] == [{"clerkJWT": []}, {"apiKey": []}]
            needed = of.get("x-scope")
            assert (f"Needs the scope `{needed}`" if needed else "Any user's session and any API key") in of[
                "description"
            ]
        else:
            assert of["security"] == [], "tools take an operation without it for one that was forgotten"


def test_the_headers_that_clients_rely_on_are_described(operations) -> None:
    for (method, path), of in operations.items():
        for status, response in of["responses"].items():
            expected = {"X-Request-Id"}
            expected |= {"ETag"} if path in {PATH, CATALOGUE_PATH} and status in {"200", "304"} else set()
            expected |= {"WWW-Authenticate"} if status == "401" else set()
            expected |= {"Allow"} if status == "405" else set()
            expected |= {"Retry-After"} if status in {"429", "503"} else set()
            expected |= {"X-Next-After"} if path == EVENTS and status == "200" else set()
            expected |= {"X-Last-Event-At"} if path in (AUDIT_LOG, AUDIT_SUMMARY) and status == "200" else set()
            assert set(response["headers"]) == expected, (method, path, status)
            optional = {name for name, header in response["headers"].items() if not header["required"]}
            assert optional == expected & {"X-Next-After", "X-Last-Event-At"}


def test_servers_are_named_relative_to_where_the_description_is_found(document) -> None:
    assert [server["url"] for server in document["servers"]] == ["."]


@soak
def test_the_service_keeps_to_its_description(server, tmp_path, document) -> None:
    # Closed, as it must send nothing that it doesn't describe.
    strict = tmp_path / "openapi.json"
    strict.write_text(json.dumps(closed(document)))
    run = subprocess.run(
        [
            COMMAND.with_name("schemathesis"),
            *("--config-file", ROOT / "schemathesis.toml"),
            *("run", strict, "--url", server.url),
            *("--checks", "all", "--max-examples", rounds("10", "50"), "--seed", "20260426", "--no-color"),
            *("--header", f"Authorization: Bearer {session_token('user_schemathesis', role='admin')}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert re.search(rf"✅ {phase}\b", run.stdout)
    assert f"Tested: {len(STATUSES)}" in run.stdout
