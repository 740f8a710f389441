"""A streaming standby of an embedded PostgreSQL, which is promoted when a test says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from infrastructure.embedded.postgres.home import home_of


@contextmanager
def standby_of(primary: EmbeddedPostgres, folder: Path) -> Iterator[EmbeddedPostgres]:
    """A copy of the primary in a folder of its own, that follows it."""
    home, account = home_of(folder)
    data = home / str(PostgresBinaries.locate().major)
    data.mkdir(mode=0o700)
    account.own(data)
    (home / "password").write_text((primary._home / "password").read_text())
    programs = primary._binaries.folder
    copied = account.run(
        [
            programs / "pg_basebackup",
            "-d",
            primary.database_url("postgres"),
            "-D",
            data,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ],
        cwd=Path("/"),
    )
    assert copied.returncode == 0, copied.stderr
    with EmbeddedPostgres(folder) as standby:
        yield standby


def promote(standby: EmbeddedPostgres) -> None:
    done = standby._control("promote")
    assert done.returncode == 0, done.stderr


def either(first: str, second: str, **more: str) -> str:
    """One URL for two servers with the same database, user and password, of which the one that takes writes is wanted."""
    parts = urlsplit(first)
    [one], [other] = (parse_qs(urlsplit(url).query)["host"] for url in (first, second))
    query = {"host": f"{one},{other}", "port": "5432", "target_session_attrs": "read-write", **more}
    return urlunsplit(parts._replace(query=urlencode(query)))
