"""What docs/library.md says is done as it stands there: a program of its own follows our log live, with the library alone."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg

from tests.support.server import PATH, Server
from tests.support.tokens import bearer

PAGE = (Path(__file__).parents[3] / "docs" / "library.md").read_text()


def box(language: str) -> str:
    [code] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return code


def test_the_program_on_the_page_follows_the_log_live_with_the_right_to_read_alone(
    serve: Callable[..., Server], database_url: str, tmp_path: Path
) -> None:
    # Given the role and the settings of the page, but for where this database is
    role = f"reader_{os.getpid()}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in filter(str.strip, box("sql").replace("opt_outs_reader", role).split(";")):
            connection.execute(statement.encode())
    settings = dict(re.findall(r"^export (\w+)='?(.*?)'?$", box("sh"), re.MULTILINE))
    parts = urlsplit(database_url)
    [host], [port] = parse_qs(parts.query)["host"], parse_qs(parts.query)["port"]
    settings |= {"POSTGRES_HOST": host, "POSTGRES_PORT": port, "POSTGRES_DBNAME": parts.path[1:], "POSTGRES_USER": role}
    program = tmp_path / "opt_outs.py"
    program.write_text(box("python"))
    with httpx.Client(base_url=serve().url, headers=bearer("user_ada"), timeout=10) as http:

        def choose(**toggles: bool) -> None:
            assert http.patch(PATH, json={"email": toggles}).status_code == 200

        choose(product_updates=False)
        # when its program runs
        running = subprocess.Popen(
            [sys.executable, program],
            env={**os.environ, **settings},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with running:
            assert running.stdout is not None
            too_long = threading.Timer(20, running.kill)
            too_long.start()
            try:
                # then it has what was there, and each choice as it is made.
                assert running.stdout.readline() == "email.product_updates 1\n"
                choose(delivery_alerts=False)
                assert running.stdout.readline() == "email.delivery_alerts 1\n"
                choose(product_updates=True)
                choose(product_updates=False)
                assert running.stdout.readline() == "email.product_updates 2\n"
            finally:
                too_long.cancel()
                running.kill()


def test_every_stored_name_is_on_the_page() -> None:
    from infrastructure.log.event_codec import TYPES

    assert set(re.findall(r"^\| `(notification-preferences\.[a-z-]+)` \|", PAGE, re.MULTILINE)) == set(TYPES)
