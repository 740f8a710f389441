"""The three questions, put to DuckDB. They stand in `queries/`, one file each."""

from pathlib import Path
from typing import Any, NamedTuple

import duckdb

QUERIES = Path(__file__).with_name("queries")

FILES = "date=*/*.parquet"


class Answer(NamedTuple):
    """A table."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Answers(NamedTuple):
    opt_outs_by_week: Answer
    opt_outs_by_source: Answer
    net_change_by_catalogue: Answer


class NothingThere(Exception):
    """Nobody has chosen anything in this log, so there is nothing to ask."""


def answer(replay: Path, days: int) -> Answers:
    """From a folder of Parquet files; `days` to look at before and after a catalogue. Raises `NothingThere`."""
    with duckdb.connect() as connection:
        if not any(replay.glob(FILES)):
            raise NothingThere(f"there are no events in {replay}")
        connection.from_parquet(str(replay / FILES), union_by_name=True).create_view("events")
        connection.execute(_query("changes"))
        if connection.execute("SELECT 1 FROM changes LIMIT 1").fetchone() is None:
            raise NothingThere(f"nobody has changed anything in {replay}")
        return Answers(
            _asked(connection, "opt_outs_by_week"),
            _asked(connection, "opt_outs_by_source"),
            _asked(connection, "net_change_by_catalogue", days=days),
        )


def _asked(connection: duckdb.DuckDBPyConnection, name: str, **parameters: int) -> Answer:
    result = connection.execute(_query(name), parameters or None)
    return Answer([column[0] for column in result.description or []], result.fetchall())


def _query(name: str) -> str:
    return (QUERIES / f"{name}.sql").read_text()
