"""What others' linters say of the API's description."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import DESCRIPTION, HERE


def redocly(program: Path, description: Path) -> list[str]:
    """The names of the rules that it breaks."""
    result = subprocess.run(
        [program, "lint", "--config", HERE / "redocly.yaml", "--format", "json", description],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [problem["ruleId"] for problem in json.loads(result.stdout)["problems"]]


def spectral(program: Path, description: Path) -> list[str]:
    result = subprocess.run(
        [program, "lint", "--ruleset", HERE / "spectral.yaml", "--format", "json", "--quiet", description],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [problem["code"] for problem in json.loads(result.stdout)]


@pytest.mark.parametrize("lint", [redocly, spectral])
def test_a_linter_finds_no_fault_with_the_description(lint, from_npm) -> None:
    assert lint(from_npm(lint.__name__), DESCRIPTION) == []


@pytest.mark.parametrize(
    ("lint", "rules"),
    [(redocly, {"security-defined", "no-empty-servers"}), (spectral, {"oas3-api-servers"})],
)
def test_a_linter_finds_what_is_missing(lint, rules, from_npm, document: dict[str, Any], tmp_path: Path) -> None:
    # Negative control: the linters do look.
    del document["servers"]
    document["paths"]["/healthz"]["get"].pop("security")
    poorer = tmp_path / "openapi.json"
    poorer.write_text(json.dumps(document))
    assert set(lint(from_npm(lint.__name__), poorer)) == rules
