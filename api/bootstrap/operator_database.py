"""Opens the database for a command: one connection, and the patience of a person at the command line."""

from typing import Final

from infrastructure.postgres.database import Database

PATIENCE: Final = 15.0
"""Seconds that the person waits for the database to answer at all."""


def operator_database(url: str, *, answer_within: float = 10.0) -> Database:
    return Database(url, size=1, connect_within=5, patience=PATIENCE, answer_within=answer_within)
