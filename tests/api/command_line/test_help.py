"""Help on everything, and exit codes for what is misspelt."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.core import TyperGroup

from api.command_line.commands import CLI
from api.command_line.late_command import LateCommand
from tests.support.command import Command, Result, environment


def listed(group: TyperGroup, *words: str) -> Iterator[tuple[list[str], LateCommand]]:
    """Every command, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from listed(command, *words, name)
        else:
            assert isinstance(command, LateCommand)
            yield [*words, name], command


COMMANDS = {" ".join(words): command for words, command in listed(CLI)}
GROUPS = ["", *sorted({words.rpartition(" ")[0] for words in COMMANDS if " " in words})]


HEAVY = {"cryptography", "fastapi", "jwt", "nats", "psycopg", "pyarrow", "pydantic", "uvicorn"}
"""What takes time to load, and no help needs."""

OF_OTHERS = {"fastapi", "nats", "pyarrow", "uvicorn"}
"""What takes time to load, and most commands don't need."""


@pytest.fixture
def command(folder, monkeypatch, capsys) -> Callable[..., Result]:
    """Without a database: none of these may need one."""
    nowhere = Command(folder / "untouched", "postgresql://127.0.0.1:1/nowhere")
    return lambda *words: nowhere.inside(monkeypatch, capsys, *words)


def test_the_script_is_installed(folder) -> None:
    result = Command(folder)("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: preferences" in result.stdout


def loaded_by(*calls: str, **settings: Any) -> set[str]:
    """The modules that are loaded after these calls, one after the other in one process."""
    program = f"""
import json, sys
from api.command_line import main
try:
    for call in {calls!r}:
        sys.argv = ["preferences", *call.split()]
        try:
            main()
        except SystemExit:
            pass
finally:
    print(json.dumps(list(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment(**settings)
    )
    assert "Traceback" not in result.stderr
    return set(json.loads(result.stderr.splitlines()[-1]))


def test_the_list_of_commands_loads_none_of_them() -> None:
    loaded = loaded_by(*(f"{group} --help" for group in GROUPS))
    places = {f"api.command_line.{command.place.partition('.')[0]}" for command in COMMANDS.values()}
    assert len(places) > 10
    assert not loaded & (places | HEAVY)


def test_help_loads_nothing_that_only_a_command_needs() -> None:
    # given the help of every command
    loaded = loaded_by(*(f"{words} --help" for words in COMMANDS))
    # then it has loaded the commands, and no database, no web and no settings
    assert "api.command_line.serve" in loaded
    assert not loaded & HEAVY


def test_a_command_loads_nothing_of_others(database_url, folder) -> None:
    settings = {"database_url": database_url, "database_storage": "durable", "data_dir": folder}
    # given commands that work on a database
    loaded = loaded_by("api-keys list", **settings)
    assert "psycopg" in loaded
    assert not loaded & (OF_OTHERS | {"cryptography", "jwt"})
    loaded = loaded_by(
        *("followers list", "catalogue list", "catalogue diff", "rebuild --compare-only", "history --user user_ada"),
        *("audit checkpoint", "audit sweep", "audit reads", "token", "replay --to jsonl -o /dev/null"),
        **settings,
    )
    assert "cryptography" in loaded
    assert not loaded & OF_OTHERS
    # and one that makes the service
    loaded = loaded_by("openapi", **settings)
    assert "fastapi" in loaded
    assert not loaded & {"nats", "pyarrow"}


@pytest.mark.parametrize(("words", "command"), COMMANDS.items(), ids=COMMANDS)
def test_the_list_says_of_a_command_what_its_own_help_begins_with(words: str, command: LateCommand) -> None:
    assert command.load().help.partition("\n\n")[0].replace("\n", " ") == command.help


@pytest.mark.parametrize("words", [*GROUPS, *COMMANDS])
def test_every_command_has_help(command, words: str) -> None:
    result = command(*words.split(), "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert f"Usage: preferences {words}".rstrip() in result.stdout
    description = result.stdout.split("╭")[0].split("Usage:")[1].splitlines()[1:]
    assert len(" ".join(description).split()) > 3


def test_the_help_names_every_command(command) -> None:
    text = command("--help").stdout
    for words in COMMANDS:
        assert f" {words.split()[0]} " in text


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
