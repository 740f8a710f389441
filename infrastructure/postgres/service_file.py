"""PostgreSQL's connection service file: what an operator calls a database, and how to reach it.

libpq reads it by itself, but only after it was told our defaults, which would win over what stands there; and a URL whose servers
are named there would be tried with one time limit for all of them, so that the first one that stands still is the only one.
"""

import os
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from pathlib import Path


def of(said: Mapping[str, object]) -> dict[str, str]:
    """What the file says of the service that is asked for; empty where it can't be found, which libpq then complains of."""
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
