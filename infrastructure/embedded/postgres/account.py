"""The account that runs the server, and what it may reach."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


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
