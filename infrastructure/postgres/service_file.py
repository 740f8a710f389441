"""PostgreSQL's connection service file: it maps an operator's name for a database to connection parameters.

libpq reads the file by itself, but explicit parameters win over it. Our defaults are explicit, so they would override the file. And if
the file names several servers, they would share one time limit, so that a server that hangs would use up all of it.
"""

import os
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from pathlib import Path


def of(said: Mapping[str, object]) -> dict[str, str]:
    """The file's entry for the requested service. Empty if it can't be found; libpq then reports that."""
    name = said.get("service") or os.environ.get("PGSERVICE")
    if not name:
        return {}
    personal = said.get("servicefile") or os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf"
    folder = os.environ.get("PGSYSCONFDIR")
    for path in (Path(str(personal)), *([Path(folder) / "pg_service.conf"] if folder else [])):
        parser = RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False)
        try:
            parser.read_string(path.read_text("utf-8"))
            return dict(parser[str(name)])
        except (OSError, UnicodeDecodeError, Error, KeyError):
            continue
    return {}
