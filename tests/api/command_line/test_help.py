"""Help on everything, and exit codes for what is misspelt."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.command import Command, Result

COMMANDS = [
    [],
    ["serve"],
    ["migrate"],
    ["token"],
    ["api-keys"],
    ["api-keys", "create"],
    ["api-keys", "list"],
    ["api-keys", "revoke"],
    ["rebuild"],
    ["follow"],
    ["relay"],
    ["followers"],
    ["followers", "list"],
    ["followers", "pause"],
    ["followers", "resume"],
    ["followers", "reset"],
    ["history"],
    ["replay"],
    ["erase"],
    ["check"],
    ["audit", "export"],
    ["audit", "reads"],
    ["openapi"],
]


HEAVY = {"cryptography", "fastapi", "jwt", "nats", "psycopg", "pyarrow", "pydantic", "uvicorn"}
"""What takes time to load, and no help needs."""


@pytest.fixture
def command(folder, monkeypatch, capsys) -> Callable[..., Result]:
    """Without a database: none of these may need one."""
    nowhere = Command(folder / "untouched", "postgresql://127.0.0.1:1/nowhere")
    return lambda *words: nowhere.inside(monkeypatch, capsys, *words)


def test_the_script_is_installed(folder) -> None:
    result = Command(folder)("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: preferences" in result.stdout


def loaded_by(*words: str) -> set[str]:
    program = f"""
import json, sys
from api.command_line import main
sys.argv = ["preferences", *{words!r}]
try:
    main()
finally:
    print(json.dumps(list(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return set(json.loads(result.stderr.splitlines()[-1]))


def test_help_loads_nothing_that_only_a_command_needs() -> None:
    # given the help of everything
    loaded = loaded_by("--help")
    # then it has loaded the commands, and no database, no web and no settings
    assert "api.command_line.serve" in loaded
    assert not loaded & HEAVY


def test_a_command_loads_nothing_of_others() -> None:
    # given a command that makes the service, but not what hands events on
    loaded = loaded_by("openapi")
    # then it has loaded the framework, and nothing of the broker or of Parquet
    assert "fastapi" in loaded
    assert not loaded & {"nats", "pyarrow"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help(command, words: list[str]) -> None:
    result = command(*words, "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert " ".join(["Usage: preferences", *words]) in result.stdout
    description = result.stdout.split("╭")[0].split("Usage:")[1].splitlines()[1:]
    assert len(" ".join(description).split()) > 3


def test_the_help_names_every_command(command) -> None:
    text = command("--help").stdout
    for words in COMMANDS[1:]:
        assert f" {words[0]} " in text


def test_the_help_of_an_option_says_what_it_is_for(command) -> None:
    text = " ".join(command("serve", "--help").stdout.replace("│", " ").split())
    for expected in (
        "--host",
        "--port",
        "--workers",
        "HOST, default 127.0.0.1",
        "PORT, default 8000",
        "WEB_CONCURRENCY",
    ):
        assert expected in text


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["api-keys", "nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--port", "70000"],
        ["serve", "--workers", "0"],
        ["token", "--hours", "0"],
        ["token", "--hours", "inf"],
        ["token", "--hours", "soon"],
        ["history"],
        ["erase"],
        ["history", "--user", "user_ada", "--limit", "0"],
        ["api-keys", "create"],
        ["api-keys", "create", "--org", "org_math", "--label", "x"],
        ["api-keys", "revoke"],
        ["api-keys", "revoke", "no-uuid"],
        ["migrate", "now"],
        ["followers", "pause"],
        ["followers", "reset", "audit-index", "--to", "-1"],
    ],
    ids=" ".join,
)
def test_what_is_misspelt_is_exit_code_2(command, words: list[str]) -> None:
    result = command(*words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Error" in result.stderr


def test_without_a_command_there_is_help(command) -> None:
    result = command()
    assert result.returncode == 2
    assert "Usage: preferences" in result.stdout + result.stderr
