"""PostgreSQL without a database server to install: its programs come with pip, its life is ours."""

from infrastructure.embedded.postgres.account import EmbeddedPostgresError
from infrastructure.embedded.postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
