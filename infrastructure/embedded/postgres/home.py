"""The server's folders: its home, and the one for its socket."""

import contextlib
import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

from infrastructure.embedded.postgres.account import EmbeddedPostgresError, ServerAccount

PORT = 5432
"""The server listens on no port. The number is part of the socket's name."""

_SOCKET = f".s.PGSQL.{PORT}"
_SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107
_NOTE = "location.txt"
_NOT_PLAIN = re.compile(r'["$`\\]')


def own_folder(path: Path, mode: int, account: ServerAccount) -> None:
    """Make a folder of the account, or check that it belongs to it: in a shared folder another account may have made it first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
        path.chmod(mode)
        account.own(path)
    elif not stat.S_ISDIR(status.st_mode) or (status.st_uid, stat.S_IMODE(status.st_mode)) != (account.uid, mode):
        raise EmbeddedPostgresError(f"{path} is not a folder of the account {account.name} alone: remove it.")


def home_of(data_dir: Path) -> tuple[Path, ServerAccount]:
    """The folder of data, password and log, and the account that runs the server there.

    It is `<data_dir>/postgres`. If root starts the server, it runs as another account. If that account can't reach the folder, it is one
    elsewhere, named by a hash. A note records its path, so that every later start finds the same data.
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
    """For root: the account that owns the data, or else one without privileges; and whether there is data."""
    if home.stat().st_uid == 0:
        home.chmod(0o711)
    data = sorted(folder for folder in home.iterdir() if folder.name.isdecimal())
    if not data:
        return ServerAccount.unprivileged(), False
    owner = ServerAccount.owner_of(data[-1])
    if owner.is_another:
        return owner, True
    # Root has copied the data back, so the files belong to root, and a server can never run as root.
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


def folder_for_programs(home: Path, account: ServerAccount) -> Path:
    """The folder for a copy of the programs. On its way to pg_ctl their path goes through a shell, within double quotes."""
    return _home_elsewhere(home, account) if _NOT_PLAIN.search(str(home)) else home


def make_socket_folder(home: Path, account: ServerAccount) -> Path:
    """A folder for the socket, which only the account can enter. The kernel limits the length of the whole path."""
    folder = home / "socket"
    # libpq reads a comma as the end of a host's name.
    if len(os.fsencode(folder / _SOCKET)) > _SOCKET_PATH_LIMIT or "," in str(folder):
        identity = os.fsencode(home) + str(account.uid).encode()
        name = f"preferences-{hashlib.sha256(identity).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir()) / name
        if len(os.fsencode(folder / _SOCKET)) > _SOCKET_PATH_LIMIT or not account.can_enter(folder.parent):
            folder = Path("/tmp") / name  # noqa: S108 - own_folder verifies that it is ours
    own_folder(folder, 0o700, account)
    # No server runs on the data, so these are of a killed server, and their pid may be another process by now.
    for stale in (_SOCKET, f"{_SOCKET}.lock"):
        (folder / stale).unlink(missing_ok=True)
    return folder
