"""A pool for tests that are not about time limits."""

from typing import Any

from infrastructure.postgres.database import Database


def patient_database(url: str, **settings: Any) -> Database:
    """The service's pool, whose callers wait up to 30 s: a busy machine may take longer than a request of the service may."""
    return Database(url, **{"connect_within": 30.0, "patience": 30.0, **settings})
