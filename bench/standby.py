"""A standby of the benchmark's PostgreSQL, on the same machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cores import pin_family
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from infrastructure.embedded.postgres.home import home_of


class CopyFailed(Exception):
    """With what pg_basebackup said."""


@contextmanager
def standby_of(primary_url: str, password: Path, folder: Path, cores: frozenset[int]) -> Iterator[EmbeddedPostgres]:
    """It has the databases of the primary under the same names, and the same password, which the file has."""
    home, account = home_of(folder)
    binaries = PostgresBinaries.locate()
    data = home / str(binaries.major)
    data.mkdir(mode=0o700)
    account.own(data)
    (home / "password").write_text(password.read_text())
    program = binaries.reachable_by(account, home).folder / "pg_basebackup"
    copied = account.run([program, "-d", primary_url, "-D", data, "-R", "-X", "stream", "-c", "fast"], cwd=Path("/"))
    if copied.returncode != 0:
        raise CopyFailed(copied.stderr)
    try:
        with EmbeddedPostgres(folder, settings={"hot_standby_feedback": "on"}) as standby:
            pin_family(cores, standby.pid)
            yield standby
    finally:
        shutil.rmtree(home, ignore_errors=True)
