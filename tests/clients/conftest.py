"""A service for clients that others made, with every kind of event in its log; and where those clients come from."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.catalogues import publish
from tests.support.counterparts import counterpart
from tests.support.filled_log import Chance, put, take_in
from tests.support.forked import COMMAND
from tests.support.server import Server
from tests.support.tokens import session_token

HERE = Path(__file__).parent
DESCRIPTION = HERE.parent / "golden" / "openapi.json"
SEED = 20260426

Run = Callable[..., subprocess.CompletedProcess[str]]


def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """A run that succeeded."""
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="session")
def node() -> Path:
    return counterpart("node", "Node.js isn't there: install node 20 or newer, then run `make clients`")


@pytest.fixture(scope="session")
def from_npm(node: Path) -> Callable[[str], Path]:
    """A program of tests/clients/package.json."""
    return lambda name: counterpart(
        HERE / "node_modules" / ".bin" / name, f"{name} isn't there: `make clients` installs it"
    )


@pytest.fixture(scope="session")
def openapi_generator() -> Path:
    counterpart("java", "Java isn't there: install Debian's default-jre-headless")
    return COMMAND.with_name("openapi-generator-cli")


@pytest.fixture(scope="session")
def filled(new_database: Callable[[], str]) -> Iterator[Server]:
    url = new_database()
    asyncio.run(publish(url))
    put(url, Chance(SEED).events(300))
    asyncio.run(take_in(url))
    with Server(url, role_scopes="admin=audit:read,events:read,preferences:read") as running:
        yield running


@pytest.fixture
def speaking(filled: Server, fresh_user: Callable[[], str]) -> dict[str, str]:
    """The environment of a program that speaks with the service."""
    return {
        **os.environ,
        "SERVICE": filled.url,
        "USER_TOKEN": session_token(fresh_user()),
        "ADMIN_TOKEN": session_token("user_grace", role="admin"),
    }


@pytest.fixture
def document() -> dict[str, Any]:
    return json.loads(DESCRIPTION.read_text())
