"""PostgreSQL clusters of a test's own, without an initdb and the migrations for each."""

import subprocess
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.partitioned import migrated


class ReadyCluster:
    """One that was made and migrated once, then stopped. Each copy is a server that may be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with EmbeddedPostgres(folder) as postgres:
            migrated(postgres.url)
            hash_passwords_quickly(postgres.url)

    def copy_to(self, data_dir: Path) -> Path:
        """The data folder of a service, with a copy in it, unless it has one."""
        if (data_dir / "postgres").exists():
            return data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        # It keeps the owner of each file, which for root is the account that runs the server.
        subprocess.run(["cp", "-a", self._folder / "postgres", data_dir], check=True)
        return data_dir


def hash_passwords_quickly(url: str) -> None:
    """Each connection would hash the password 4,096 times, and the tests make ten thousands of connections."""
    role = conninfo_to_dict(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET scram_iterations = 1")
        connection.execute(
            SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(str(role["user"])), str(role["password"]))
        )
