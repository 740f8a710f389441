"""The account that runs the server, and the folders that it can reach."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class EmbeddedPostgresError(Exception):
    """One sentence that an operator can act on."""


@dataclass(frozen=True)
class ServerAccount:
    """The account that runs the server: our own. PostgreSQL refuses root, so for root it is an account without privileges."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str

    @classmethod
    def current(cls) -> Self:
        """The account that this process runs as."""
        return cls(os.geteuid(), os.getegid(), (), str(os.geteuid()))

    @classmethod
    def unprivileged(cls) -> Self:
        """`postgres` if the machine has it, else `nobody`."""
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
        """The account that owns a folder, with or without a name on this machine."""
        status = path.stat()
        return cls(status.st_uid, status.st_gid, (status.st_gid,), str(status.st_uid))

    @property
    def is_another(self) -> bool:
        """Whether this differs from the account of this process."""
        return self.uid != os.geteuid()

    def own(self, path: Path) -> None:
        """Give the account a file or folder that this process has just made."""
        if self.is_another:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, command: Sequence[str | Path], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, and wait for it. Raises OSError if the program can't start.

        The program gets a session of its own. So a Ctrl-C in the terminal stops the service, which then stops the server, and not both at
        once. The caller's libpq and locale settings must not reach the server.
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
        """Ask a shell that runs as this account. Only this accounts for every permission bit, ACL and mount option."""
        return self.run(["/bin/sh", "-c", test, "sh", *arguments], cwd=Path("/")).returncode == 0

    def can_enter(self, folder: Path) -> bool:
        """Whether the account reaches a folder through all folders above it."""
        return self.agrees('cd -- "$1"', folder)
