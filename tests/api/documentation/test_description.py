"""The API's own description: that it is the published one, that it is precise, and that the service keeps to it."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest

from api.documentation.components import components
from api.feed.cloud_event_description import DATA, NAMES
from api.schemas import SourceName, reference
from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle
from domain.events import Event
from domain.provenance import Source
from projections.cloud_events import SCHEMAS, TYPES
from tests.support.closed_answers import closed
from tests.support.server import COMMAND, PATH
from tests.support.soak import rounds, soak
from tests.support.tokens import session_token

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "openapi.json"
HISTORY = f"{PATH}/history"
DECISIONS = "/v1/decisions"
OF_USER = "/v1/users/{user_id}/notifications"
HISTORY_OF_USER = f"{OF_USER}/history"
AUDIT_LOG = "/v1/audit-log"
AUDIT_SUMMARY = "/v1/audit-log/summary"
EVENTS = "/v1/events"

STATUSES = {
    ("get", PATH): {"200", "304", "401", "403", "500", "503"},
    ("patch", PATH): {"200", "400", "401", "403", "412", "413", "422", "429", "500", "503"},
    ("get", HISTORY): {"200", "401", "403", "422", "500", "503"},
    ("post", DECISIONS): {"200", "400", "401", "403", "413", "422", "500", "503"},
    ("get", OF_USER): {"200", "401", "403", "404", "422", "500", "503"},
    ("get", HISTORY_OF_USER): {"200", "401", "403", "404", "422", "500", "503"},
    ("get", AUDIT_LOG): {"200", "401", "403", "422", "500", "503"},
    ("get", AUDIT_SUMMARY): {"200", "401", "403", "422", "500", "503"},
    ("get", EVENTS): {"200", "401", "403", "409", "422", "500", "503"},
    ("get", "/healthz"): {"200", "405", "500"},
    ("get", "/readyz"): {"200", "405", "500", "503"},
    ("get", "/metrics"): {"200", "405", "500"},
}
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
    ("get", AUDIT_SUMMARY): {"UNAUTHORIZED", "FORBIDDEN", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
    ("get", EVENTS): {"UNAUTHORIZED", "FORBIDDEN", "BEYOND_THE_END", "VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def operations(document) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): {
            **of,
            "responses": {status: resolved(document, of_it) for status, of_it in of["responses"].items()},
        }
        for path, item in document["paths"].items()
        for method, of in item.items()
    }


def resolved(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """The response itself, where a name stands for it."""
    name = response.get("$ref", "").removeprefix("#/components/responses/")
    return document["components"]["responses"][name] if name else response


@pytest.fixture(scope="module")
def validator(document):
    def make(schema: dict[str, Any]) -> Any:
        return jsonschema_rs.Draft202012Validator(
            {**schema, "components": document["components"]}, validate_formats=True
        )

    return make


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
    assert {operation: set(of["responses"]) for operation, of in operations.items()} == STATUSES


@pytest.mark.parametrize("operation", ERRORS, ids="-".join)
def test_every_operation_tells_every_error_that_it_can_answer(operations, operation) -> None:
    codes = {
        example["error"]["code"]
        for response in operations[operation]["responses"].values()
        for content in response.get("content", {}).values()
        for example in examples(content)
        if isinstance(example, dict) and not example.get("success", True)
    }
    assert codes == ERRORS[operation]


def test_what_no_operation_answers_is_described_too(document) -> None:
    codes = {
        name: list(of["content"]["application/json"]["examples"])
        for name, of in document["components"]["responses"].items()
    }
    assert codes == {"NotFound": ["NOT_FOUND"], "MethodNotAllowed": ["METHOD_NOT_ALLOWED"]}
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
            assert f"Needs the scope `{of['x-scope']}`" in of["description"]
        else:
            assert of["security"] == [], "tools take an operation without it for one that was forgotten"


def test_the_headers_that_clients_rely_on_are_described(operations) -> None:
    for (method, path), of in operations.items():
        for status, response in of["responses"].items():
            expected = {"X-Request-Id"}
            expected |= {"ETag"} if path == PATH and status in {"200", "304"} else set()
            expected |= {"WWW-Authenticate"} if status == "401" else set()
            expected |= {"Allow"} if status == "405" else set()
            expected |= {"Retry-After"} if status in {"429", "503"} else set()
            expected |= {"X-Next-After"} if path == EVENTS and status == "200" else set()
            expected |= {"X-Last-Event-At"} if path in (AUDIT_LOG, AUDIT_SUMMARY) and status == "200" else set()
            assert set(response["headers"]) == expected, (method, path, status)
            optional = {name for name, header in response["headers"].items() if not header["required"]}
            assert optional == expected & {"X-Next-After", "X-Last-Event-At"}


def test_an_answer_fits_its_schema_also_where_nothing_can_be_chosen_in_a_channel(validator) -> None:
    catalogue = Catalogue(
        2, (*CATALOGUE.channels, Channel("sms", (Toggle("security_alerts", default=True, mandatory=True),)))
    )
    validator(components(catalogue)["Preferences"]).validate(catalogue.resolve({}))


def test_every_example_fits_its_schema(operations, document, validator) -> None:
    checked = 0
    contents = [
        *(of["requestBody"]["content"] for of in operations.values() if "requestBody" in of),
        *(response.get("content", {}) for of in operations.values() for response in of["responses"].values()),
        *(response["content"] for response in document["components"]["responses"].values()),
    ]
    for content in contents:
        for media_type in content.values():
            found = examples(media_type)
            assert found
            for example in found:
                validator(media_type["schema"]).validate(example)
                checked += 1
    assert checked > 30


@pytest.fixture(scope="module")
def change(operations, validator):
    return validator(operations["patch", PATH]["requestBody"]["content"]["application/json"]["schema"])


def test_a_change_is_any_part_of_the_toggles(change, operations) -> None:
    assert operations["patch", PATH]["requestBody"]["required"] is False
    names = [toggle.name for channel in CATALOGUE.channels for toggle in channel.visible]
    assert change.is_valid({})
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            assert change.is_valid({"email": dict.fromkeys(chosen, True)})
            assert change.is_valid({"email": dict.fromkeys(chosen, False)})


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {"email": None},
        {"email": []},
        {"in_app": {}},
        {"email": {"product_news": True}},
        {"email": {"security_alerts": True}},
        *({"email": {"product_updates": value}} for value in (None, 0, 1, "true", [], {})),
    ],
    ids=json.dumps,
)
def test_a_change_is_nothing_else(change, body: Any) -> None:
    assert not change.is_valid(body)


def test_an_answer_has_every_visible_toggle(operations, validator) -> None:
    everything = CATALOGUE.resolve({})
    for method in ("get", "patch"):
        answer = validator(operations[method, PATH]["responses"]["200"]["content"]["application/json"]["schema"])
        assert answer.is_valid({"success": True, "data": everything})
        assert not answer.is_valid({"data": everything})
        assert not answer.is_valid({"success": True, "data": {}})
        assert not answer.is_valid(
            {"success": True, "data": {"email": everything["email"] | {"product_updates": None}}}
        )
        for name in everything["email"]:
            partial = {other: value for other, value in everything["email"].items() if other != name}
            assert not answer.is_valid({"success": True, "data": {"email": partial}})


def test_a_new_channel_in_the_catalogue_is_in_the_description_too() -> None:
    catalogue = Catalogue(2, (*CATALOGUE.channels, Channel("in_app", (Toggle("mentions", default=True),))))
    schemas = components(catalogue)
    assert jsonschema_rs.is_valid(schemas["PreferencesChange"], {"in_app": {"mentions": False}})
    assert not jsonschema_rs.is_valid(schemas["PreferencesChange"], {"in_app": {"mention": False}})
    assert jsonschema_rs.is_valid(schemas["Preferences"], catalogue.resolve({}))
    assert not jsonschema_rs.is_valid(schemas["Preferences"], CATALOGUE.resolve({}))
    question = {"channel": "in_app", "toggle": "mentions", "users": ["user_ada"]}
    assert jsonschema_rs.is_valid(schemas["DecisionQuestion"], question)
    assert not jsonschema_rs.is_valid(schemas["DecisionQuestion"], {**question, "toggle": "product_updates"})


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document, with where it stands."""
    if isinstance(node, dict):
        yield path, node
        for name, inner in node.items():
            yield from nodes(inner, f"{path}/{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from nodes(inner, f"{path}/{number}")


def schemas_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        path: node
        for path, node in nodes(document)
        if "example" not in path and ("/schema" in path or "/schemas/" in path)
    }


def test_every_source_of_a_change_is_described() -> None:
    assert get_args(SourceName) == tuple(Source)


def test_no_boolean_or_number_is_a_constant_and_every_constant_says_its_type(document) -> None:
    # Generators make a string of a constant without a type, and of a boolean's or a number's an enumeration of strings.
    found = {path: node for path, node in schemas_of(document).items() if "const" in node or "enum" in node}
    assert found
    assert [path for path, node in found.items() if node.get("type") != "string"] == []


def test_answers_are_open_to_new_fields_and_requests_are_not(document, validator) -> None:
    shut = {path for path, node in schemas_of(document).items() if node.get("additionalProperties") is False}
    assert shut == {
        "/components/schemas/PreferencesChange",
        "/components/schemas/PreferencesChange/properties/email",
        "/components/schemas/DecisionQuestion",
    }
    answer = {"success": True, "data": CATALOGUE.resolve({}) | {"in_app": {"mentions": True}}, "meta": {}}
    validator(reference("MyPreferencesAnswer")).validate(answer)
    # Negative control: what the service must not leak today is found by the closed copy.
    shut_answers = closed(document)["components"]
    strict = jsonschema_rs.Draft202012Validator({**reference("MyPreferencesAnswer"), "components": shut_answers})
    assert not strict.is_valid(answer)


def test_what_clients_work_with_has_a_name(document, operations) -> None:
    names = document["components"]["schemas"]
    assert {"Preferences", "Decision", "CloudEvent", "AuditEntry", "ErrorAnswer"} <= set(names)
    # Many languages have an `Error` of their own.
    assert not {"Error", "Object", "Array", "Date", "Exception"} & set(names)
    for operation, of in operations.items():
        for status, response in of["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if media_type == "application/json":
                    assert list(content["schema"]) == ["$ref"], (operation, status)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_the_data_of_an_event_is_described_as_in_its_file(kind: type[Event], document) -> None:
    name = SCHEMAS[kind]
    file = json.loads((ROOT / "docs" / "schemas" / f"{name.rsplit(':', 1)[1]}.json").read_text())
    meta = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name}
    assert file == {**meta, **DATA[kind]}
    described = document["components"]["schemas"][f"{NAMES[kind]}Data"]
    assert described == {"description": file["title"], **{key: file[key] for key in ("type", "properties", "required")}}


def test_servers_are_named_relative_to_where_the_description_is_found(document) -> None:
    assert [server["url"] for server in document["servers"]] == ["."]


def test_each_line_of_ndjson_is_what_its_media_type_says(operations, validator) -> None:
    for path in (EVENTS, AUDIT_LOG):
        described = operations["get", path]["responses"]["200"]["content"]["application/x-ndjson"]
        assert described["schema"]["type"] == "string", "the whole of the lines is no object"
        item = described["x-item-schema"]
        for line in described["example"].splitlines():
            validator(item).validate(json.loads(line))


class Assets(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in {"src", "href"} and value]


async def test_the_docs_page_needs_nobody_but_this_service(http) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assets = Assets(page.text).found
    assert len(assets) == 3
    for asset in assets:
        # Relative, so that a proxy may serve the page under a prefix.
        assert re.match(r"docs/[^/]", asset)
        response = await http.get(f"/{asset}")
        assert response.status_code == 200
        assert len(response.content) > 100
    assert "//" not in re.sub(r"^\s*//.*$|<!--.*?-->", "", page.text, flags=re.MULTILINE)
    assert '"openapi.json"' in page.text or "'openapi.json'" in page.text
    # Swagger UI asks a validator in the internet unless it is told not to.
    assert '"validatorUrl": null' in page.text
    style = (await http.get("/docs/swagger-ui.css")).text
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", style)
    assert "@import" not in style


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
    assert "Tested: 12" in run.stdout
