"""A database as an earlier release has left it."""

import psycopg
from psycopg import sql

from infrastructure.postgres import migrations


def migrate_up_to(url: str, number: int) -> None:
    """Apply the migrations up to this one, as the release that had no later ones did, and publish nothing."""
    with psycopg.connect(url) as connection:
        connection.execute(FORMER_TABLE)
        for migration in migrations.available():
            if migration.number <= number:
                connection.execute(sql.SQL(migration.sql))
                connection.execute(
                    "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
                    [migration.number, migration.name, migration.checksum],
                )


FORMER_TABLE = """
CREATE TABLE schema_migrations (
    number     integer     NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
