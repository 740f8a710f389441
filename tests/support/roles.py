"""A role of the service's own in a test's database, and what it may do there."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

DOCUMENTED = (Path(__file__).parents[2] / "deploy" / "kubernetes" / "migration" / "grants.sql").read_text()


class Role:
    """It has no right of its own, and not even the one to execute our functions, which PostgreSQL gives to PUBLIC."""

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self.name = f"role_of_{parts.path.removeprefix('/')}"
        self.url = urlunsplit(parts._replace(netloc=f"{self.name}:secret@"))
        self.owner = database_url
        self.execute(
            f"DROP ROLE IF EXISTS {self.name}",
            f"CREATE ROLE {self.name} LOGIN PASSWORD 'secret'",
            "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC",
        )

    def execute(self, *statements: str) -> None:
        """As the owner."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def fetch(self, query: str) -> list[Any]:
        with psycopg.connect(self.owner) as connection:
            return connection.execute(query.encode()).fetchall()

    def grant_as_documented(self) -> None:
        self.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC")
        self.execute(DOCUMENTED.replace("preferences_service", self.name))

    def grant_what_is_lacking(self, sentence: str) -> None:
        """Exactly the rights that a sentence of the service names."""
        lacking = re.search(rf"the role {self.name} lacks (.*?)(: grant|$)", sentence)
        assert lacking is not None, sentence
        for named in lacking[1].split("; "):
            privilege, _, objects = named.partition(" on ")
            for found in objects.split(", "):
                self.execute(f"GRANT {_spelt(privilege, found, self.owner)} TO {self.name}")


def _spelt(privilege: str, found: str, url: str) -> str:
    match privilege:
        case "EXECUTE":
            with psycopg.connect(url) as connection:
                [(signature,)] = connection.execute("SELECT to_regproc(%s)::regprocedure::text", [found]).fetchall()
            return f"EXECUTE ON FUNCTION {signature}"
        case "USAGE":
            return f"USAGE ON SEQUENCE {found}"
    table, _, column = found.partition(".")
    return f"{privilege} ({column}) ON {table}" if column else f"{privilege} ON {table}"
