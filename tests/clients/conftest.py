"""A service for clients that others made, with every kind of event in its log; and where those clients come from."""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.catalogues import publish
from tests.support.counterparts import counterpart
from tests.support.events import continued
from tests.support.evidence import Evidence
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
def filled(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = new_database()
    asyncio.run(publish(url))
    put(url, [*Chance(SEED).events(300), continued(301)])
    asyncio.run(take_in(url))
    evidence = Evidence(url, tmp_path_factory.mktemp("checkpoints"))
    evidence.checkpoint()
    scopes = "admin=audit:read,events:read,preferences:read"
    # At this level the log names each request, also for the probes.
    with Server(url, role_scopes=scopes, log_level="debug", **evidence.settings) as running:
        yield running


@pytest.fixture
def uncalled(filled: Server, document: dict[str, Any]) -> Callable[[], list[str]]:
    """The operations of the description that the service has not answered with 200 since the test began."""
    began = len(filled.log())
    operations = {
        of["operationId"]: f"{method.upper()} {re.sub('{.+?}', '[^/]+', path)}"
        for path, item in document["paths"].items()
        for method, of in item.items()
    }

    def missing() -> list[str]:
        lines = [json.loads(line) for line in filled.log(began).splitlines()]
        answered = [f"{line['method']} {line['path']}" for line in lines if line.get("status") == 200]
        return [name for name, form in operations.items() if not any(re.fullmatch(form, one) for one in answered)]

    def find() -> list[str]:
        deadline = time.monotonic() + 10  # An answer is logged after it was sent.
        while (found := missing()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    return find


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
