"""PostgreSQL without an installed database server: its programs come with pip, and the service starts and stops it."""

from infrastructure.embedded.postgres.account import EmbeddedPostgresError
from infrastructure.embedded.postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
