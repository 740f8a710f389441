"""The golden description, its operations, and validators of its schemas."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

ROOT = Path(__file__).parents[3]


GOLDEN = ROOT / "tests" / "golden" / "openapi.json"


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
