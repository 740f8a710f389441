"""The verifier that docs/bundle.md shows, run as it stands."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from tests.support.events import ADA
from tests.support.ledger import record

PAGE = Path(__file__).parents[3] / "docs" / "bundle.md"
NAMESPACE = UUID("b2a5e1f2-6d0b-5a6f-9c5e-6f5c8d1f3a77")


@pytest.fixture
def bundle(inside, database_url: str, folder: Path) -> tuple[Path, str]:
    """A bundle of Ada, from a log with events of others before and behind hers; and the public key."""
    assert inside("migrate").returncode == 0
    for events, stream in ((300, None), (5, ADA), (10, None)):
        asyncio.run(record(database_url, events, stream))
    file = folder / "bundle.json"
    result = inside("audit", "bundle", "--org", "org_math", "--user", "user_ada", "-o", str(file))
    assert result.returncode == 0, result
    return file, inside("audit", "public-key").stdout.strip()


@pytest.fixture
def verify(folder: Path) -> Callable[[Path, str], subprocess.CompletedProcess[str]]:
    [program] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    script = folder / "verify.py"
    script.write_text(program, "utf-8")
    return lambda file, key: subprocess.run(
        [sys.executable, script, file, key], capture_output=True, text=True, check=False
    )


def test_the_program_of_the_page_verifies_a_bundle(bundle, verify) -> None:
    file, key = bundle
    result = verify(file, key)
    assert (result.stderr, result.stdout.split(" are among")[0]) == ("", "5 events of user_ada")


DAMAGES: dict[str, Callable[[dict], object]] = {
    "a state": lambda it: it["events"][2].update(state=it["events"][2]["state"].replace("true", "false", 1) + " "),
    "a position": lambda it: it["events"][3].update(position=it["events"][3]["position"] + 1),
    "an index": lambda it: it["events"][1].update(index=it["events"][1]["index"] + 1),
    "a proof": lambda it: it["events"][0]["proof"].reverse(),
    "an event in the middle": lambda it: it["events"].pop(2),
    "the size": lambda it: it.update(checkpoint=re.sub(r"\n(\d+)\n", "\n9\n", it["checkpoint"], count=1)),
    "the catalogue": lambda it: it["catalogues"][0].update(version=CATALOGUE.version + 1),
}


@pytest.mark.parametrize("damaged", DAMAGES)
def test_it_refuses_a_bundle_that_was_damaged(damaged: str, bundle, verify) -> None:
    file, key = bundle
    document = json.loads(file.read_text("utf-8"))
    DAMAGES[damaged](document)
    file.write_text(json.dumps(document), "utf-8")
    assert verify(file, key).returncode == 1


def test_it_refuses_another_key(bundle, verify) -> None:
    file, key = bundle
    name, _, encoded = key.split("+", 2)
    assert verify(file, f"{name}+00000000+{encoded}").returncode == 1


@pytest.mark.parametrize(("organization", "user"), [("org_math", "user_ada"), (None, "user_ada"), ("größe", 'a"b')])
def test_the_page_says_how_a_stream_is_named(organization: str | None, user: str) -> None:
    assert uuid5(NAMESPACE, json.dumps([organization, user], separators=(",", ":"))) == stream_id(organization, user)
