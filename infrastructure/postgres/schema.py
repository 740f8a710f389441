"""Checks that the schema is exactly what this release's migrations make, down to each function and index."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Final, NamedTuple

from infrastructure.postgres import migrations
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.sql import queries

FILE: Final = "schema.tsv"

_SESSION: Final = Session(application="preferences check", connect_within=5)

_KNOWN_BY_NAME: Final = frozenset({"table", "column", "trigger", "rule", "view", "function"})
_RELATIONS: Final = frozenset({"table", "view"})
_ACTING: Final = frozenset({"trigger", "rule"})
"""These kinds change the writes of others, so even an added one matters."""


class Part(NamedTuple):
    """For an index or a constraint, `name` is its table."""

    kind: str
    name: str
    definition: str

    @property
    def relation(self) -> str:
        """The table or view that the part belongs to."""
        return self.name.split(".")[0]

    @property
    def spelt(self) -> str:
        return (
            f"{self.kind} {self.name}"
            if self.kind in _KNOWN_BY_NAME
            else f"{self.kind} on {self.name}, {self.definition}"
        )


_OF_PARTITIONS: Final = Part(
    "trigger",
    "preferences_events.one_event_per_version",
    "CREATE TRIGGER one_event_per_version AFTER INSERT ON preferences_events REFERENCING NEW TABLE AS added "
    "FOR EACH STATEMENT EXECUTE FUNCTION one_event_per_version()",
)
"""A log in partitions has it. Its arguments, which are positions, are left out."""


def differences(url: str) -> list[str]:
    """How the schema differs from the one that this release's migrations make in an empty database, one phrase each.

    A database with migrations of a newer release is not compared with this release's schema.
    """
    ours = {migration.number for migration in migrations.available()}
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        if {migration.number for migration in migrations.applied(connection)} - ours:
            return []
        partitioned = connection.execute(queries("partitions")["partitioned"]).fetchall() == [(True,)]
        return [*_differences(expected() + [_OF_PARTITIONS] * partitioned, found(connection))]


def expected() -> list[Part]:
    lines = files("infrastructure.postgres").joinpath(FILE).read_text("utf-8").splitlines()
    return [Part(*line.split("\t")) for line in lines]


def found(connection: BlockingConnection) -> list[Part]:
    return sorted(Part(*row) for row in connection.execute(queries("schema")["schema"]))


def rendered(parts: list[Part]) -> str:
    return "".join("\t".join(part) + "\n" for part in parts)


def _differences(expected: list[Part], found: list[Part]) -> Iterator[str]:
    names = {(part.kind, part.name) for part in found}
    gone = {part.name for part in expected if part.kind in _RELATIONS} - {part.name for part in found}
    for part in expected:
        if part not in found and (part.kind in _RELATIONS or part.relation not in gone):
            replaced = part.kind in _KNOWN_BY_NAME and (part.kind, part.name) in names
            yield f"{part.spelt} {'was replaced' if replaced else 'is missing'}"
    tables = {part.name for part in expected if part.kind == "table"}
    for part in found:
        if part.kind in _ACTING and part not in expected and part.relation in tables:
            yield f"{part.spelt} was added"
