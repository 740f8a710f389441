"""The data folder of the embedded PostgreSQL, made by initdb."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

from infrastructure.embedded.postgres.account import EmbeddedPostgresError, ServerAccount
from infrastructure.embedded.postgres.binaries import SCRATCH, PostgresBinaries

SUPERUSER: Final = "postgres"


def refuse_other_majors(home: Path, major: int) -> None:
    """Raises `EmbeddedPostgresError` if there are data of another version than that of the programs."""
    for other in sorted(home.glob("*/PG_VERSION")):
        raise EmbeddedPostgresError(
            f"{other.parent} holds data of PostgreSQL {other.read_text().strip()}, and the programs here are "
            f"PostgreSQL {major}: install that version, or move the data with pg_dump."
        )


def make_data(data: Path, account: ServerAccount, binaries: PostgresBinaries) -> None:
    """Make the folder `data`, with its password beside it. It is made in a scratch folder and renamed, so it is never incomplete."""
    home = data.parent
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=home))
    try:
        # The password is stored before there is data that needs it. initdb reads a copy that its account owns.
        ours, theirs = scratch / "ours", scratch / "theirs"
        for copy in (ours, theirs):
            copy.touch(mode=0o600)
        ours.write_text(secrets.token_urlsafe(32))
        theirs.write_text(ours.read_text())
        _persist(ours)
        ours.replace(home / "password")
        account.own(theirs)
        account.own(scratch)
        command = ["initdb", "-D", f"{scratch.name}/data", "-U", SUPERUSER, f"--pwfile={scratch.name}/theirs"]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        if binaries.major >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = account.run([binaries.folder / command[0], *command[1:]], cwd=home)
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"PostgreSQL could not make {data}: {last_lines(done.stderr)}")
        (scratch / "data").rename(data)
        _persist(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _persist(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_lines(text: str) -> str:
    """The last lines of a log, as the end of a sentence."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-4:]) or "it said nothing."
