"""`make schema`: what the migrations make of an empty database, as infrastructure/postgres/schema.tsv keeps it."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres import migrations, schema
from infrastructure.postgres.session import Session, connect_blocking


def made_by_the_migrations(url: str) -> str:
    migrations.migrate(url)
    with connect_blocking(url, Session(application="schema"), autocommit=True) as connection:
        return schema.rendered(schema.found(connection))


if __name__ == "__main__":
    with TemporaryDirectory(prefix="preferences-schema-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as postgres:
            sys.stdout.write(made_by_the_migrations(postgres.url))
