"""SQL statements live in `.sql` files, under a name and with a line that says what they are for."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries(noun: str) -> dict[str, LiteralString]:
    """The statements of `queries/<noun>.sql`, by name."""
    text = files("infrastructure").joinpath("queries", f"{noun}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    # Our own files are as trustworthy as literals in the source; psycopg wants to be told.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}
