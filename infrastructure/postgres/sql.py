"""SQL statements are in `.sql` files. Each has a name and a line that says its purpose."""

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
    # Our own files are as trustworthy as literals in the source, but psycopg's types require this cast.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}
