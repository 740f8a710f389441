"""The schemas of the description: what fits them, and what clients make of them."""

import itertools
import json
from collections.abc import Iterator
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
from tests.support.server import PATH

ROOT = Path(__file__).parents[3]


AUDIT_LOG = "/v1/audit-log"


EVENTS = "/v1/events"


def examples(content: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return named + [content[name] for name in ("example",) if name in content]


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


def test_each_line_of_ndjson_is_what_its_media_type_says(operations, validator) -> None:
    for path in (EVENTS, AUDIT_LOG):
        described = operations["get", path]["responses"]["200"]["content"]["application/x-ndjson"]
        assert described["schema"]["type"] == "string", "the whole of the lines is no object"
        item = described["x-item-schema"]
        for line in described["example"].splitlines():
            validator(item).validate(json.loads(line))
