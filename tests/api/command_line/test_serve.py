"""`preferences serve`: what it refuses, and what it prints."""

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.catalogues import answered
from tests.support.command import Command, environment, one_sentence
from tests.support.forked import COMMAND
from tests.support.server import READY_WITHIN
from tests.support.tokens import ISSUER


def test_a_port_in_use_is_one_sentence(nowhere: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_sentence(nowhere("serve", "--port", str(port)))
    assert said == f"can't listen on 127.0.0.1 port {port}: Address already in use"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"postgres_enable_db_functions": "y"}, ["POSTGRES_ENABLE_DB_FUNCTIONS must not be enabled"]),
        ({"host": "0.0.0.0"}, ["HOST 0.0.0.0 can be reached from outside", "CLERK_ISSUER"]),
        ({"clerk_jwks_url": "https://clerk.example/keys"}, ["CLERK_ISSUER must be set"]),
        ({"clerk_issuer": "http://clerk.example"}, ["CLERK_ISSUER must start with https://"]),
        ({"clerk_issuer": ISSUER, "clerk_jwt_key": "no PEM"}, ["The signing key is neither"]),
        ({"database_url": "mysql://localhost/x"}, ["DATABASE_URL must start with postgresql://"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_wrong_setting_is_one_sentence(nowhere: Command, settings: dict[str, Any], said: list[str]) -> None:
    sentence = one_sentence(nowhere("serve", **{"port": 0, **settings}))
    assert all(part in sentence for part in said)


def test_wrong_settings_are_told_all_together(nowhere: Command) -> None:
    result = nowhere(
        "serve",
        port="many",
        log_level="loud",
        change_rate_limit=-1,
        clerk_issuer="http://clerk.example",
        database_url="x",
    )
    assert (result.returncode, result.stdout) == (1, "")
    lines = result.stderr.removeprefix("error: ").splitlines()
    assert {line.split()[0] for line in lines} == {
        "PORT",
        "LOG_LEVEL",
        "CHANGE_RATE_LIMIT",
        "CLERK_ISSUER",
        "DATABASE_URL",
    }


def test_a_database_without_its_schema_is_not_ours_to_change(preferences: Command, empty_database: str) -> None:
    said = one_sentence(preferences("serve", port=0, database_url=empty_database))
    assert "not applied" in said
    assert "preferences migrate" in said
    assert preferences("migrate", database_url=empty_database).stderr.startswith("applying")


class Running:
    """`preferences serve` as a person starts it, with what it prints."""

    def __init__(self, folder: Path, *arguments: str, **settings: Any) -> None:
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [COMMAND, "serve", *arguments], env=environment(**settings), stdout=out, stderr=err
            )

    def __enter__(self) -> "Running":
        deadline = time.monotonic() + READY_WITHIN
        while not (found := re.search(r" on http://(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", self.err.read_text())):
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(found[1]))).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"database_url": None},
        {"host": "0.0.0.0", "development_in_container": "on"},
    ],
    ids=["configured database", "embedded database", "container"],
)
def test_the_printed_commands_work_when_they_are_pasted(folder, database_url: str, where: dict[str, Any]) -> None:
    settings = {"data_dir": folder / "data", "port": 0, "database_url": database_url, **where}
    with Running(folder, **settings) as running:
        notes = running.err.read_text()
        assert "DEVELOPMENT MODE" in notes
        assert re.search(r"Open http://127\.0\.0\.1:\d+/preferences and sign in", notes)
        assert "/docs" in notes
        assert ("publish the port on 127.0.0.1 only" in notes) is ("host" in where)

        pasted = subprocess.run(
            ["bash"], input=running.out.read_text(), capture_output=True, text=True, timeout=30, cwd=folder
        )

        assert pasted.returncode == 0
        answers, rest = [], pasted.stdout.strip()
        while rest:
            answer, end = json.JSONDecoder().raw_decode(rest)
            answers.append(answer)
            rest = rest[end:].strip()
        assert answers == [
            {"success": True, "data": answered()},
            {"success": True, "data": answered(weekly_usage_digest=True)},
        ]
        assert running.stop() == 0
    # What can be piped is the commands alone; the token in them is for the reader, not for the log.
    assert running.out.read_text().count("curl") == 2
    token = re.search(r"TOKEN=(\S+)", running.out.read_text())[1]
    assert token not in running.err.read_text()


def test_options_win_over_settings(folder, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {
            "data_dir": folder / "data",
            "database_url": database_url,
            "port": taken.getsockname()[1],
            "host": "192.0.2.1",
        }
        with Running(folder, "--port", "0", "--host", "127.0.0.1", **settings) as running:
            assert running.stop() == 0
