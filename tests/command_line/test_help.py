"""Help on everything, and exit codes for what is misspelt."""

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


@pytest.fixture
def command(folder, monkeypatch, capsys) -> Callable[..., Result]:
    """Without a database: none of these may need one."""
    nowhere = Command(folder / "untouched", "postgresql://127.0.0.1:1/nowhere")
    return lambda *words: nowhere.inside(monkeypatch, capsys, *words)


def test_the_script_is_installed(folder) -> None:
    result = Command(folder)("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: preferences" in result.stdout


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
