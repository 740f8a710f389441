"""compose.yaml as `docker compose` reads it with an environment file: variables filled in, by the rules of its interpolation."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.containerfile import ROOT

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<rule>:-|:\?)(?P<rest>[^}]*))?\}")


class Missing(Exception):
    """A variable that has to be set, and what compose.yaml says of it."""


def composed(environment: Mapping[str, str]) -> dict[str, Any]:
    return _filled_in(yaml.safe_load((ROOT / "compose.yaml").read_text()), environment)


def environment_of(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _filled_in(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled_in(each, environment) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled_in(each, environment) for each in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        given = environment.get(match["name"], "")
        if given or match["rule"] is None:
            return given
        if match["rule"] == ":?":
            raise Missing(f"{match['name']}: {match['rest']}")
        return match["rest"]

    return _VARIABLE.sub(found, value)
