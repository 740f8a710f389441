"""PostgreSQL without an installed database server: its programs come with pip, and the service starts and stops it."""

import contextlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

from domain.errors import Unavailable
from infrastructure.embedded.postgres.account import EmbeddedPostgresError, ServerAccount
from infrastructure.embedded.postgres.binaries import SCRATCH, PostgresBinaries
from infrastructure.embedded.postgres.data import SUPERUSER, last_lines, make_data, refuse_other_majors
from infrastructure.embedded.postgres.home import PORT, folder_for_programs, home_of, make_socket_folder
from infrastructure.embedded.process_end import WatchedProcess, wait_until_exited
from infrastructure.embedded.server_folder import ServerFolder
from infrastructure.postgres.session import Session, connect_blocking

_DATABASE = "preferences"
_NAME = "notification-preferences"
_PATIENCE = 300
"""Seconds that a start or a stop may take: a recovery after a crash replays the write-ahead log, which can be long."""
_ORPHANS_PATIENCE = 30
_DYING_WITHIN = 1.0
_SESSION = Session(application="preferences", connect_within=30)
_NO_PID = 2**31 - 1
_LOG_LIMIT = 10_000_000
# A postmaster's working folder is its data folder. If the machine does not show it, the process counts as a postmaster.
_IS_POSTMASTER = """
[ -d "/proc/$1" ] || exit 0
grep -q "^State:[[:space:]]*Z" "/proc/$1/status" && exit 1
[ ! -e "/proc/$1/cwd" ] || [ "/proc/$1/cwd" -ef "$2" ]
"""


class EmbeddedPostgres:
    """An embedded PostgreSQL, from pip-installed binaries, on a unix socket only.

    Several processes may use one folder: the first starts the server, the others find it, and only the first stops it. If the first was
    killed, the next process that starts takes its place.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """Takes the service's data folder and more settings of the server. It does nothing before `start`."""
        self._data_dir = data_dir
        self._settings = dict(settings or {})
        self._home = self._data = data_dir
        self._folder = ServerFolder(data_dir)
        self._account = ServerAccount.current()
        self._binaries: PostgresBinaries
        self._socket_folder = ""
        self._port = ""
        self._password = ""
        self._pid = 0

    def start(self) -> None:
        """Make sure that a server runs on the folder, with the service's database. Raises EmbeddedPostgresError with the reason if not.

        Called again, it finds the running server, or starts it again if it has died, at the same address.
        """
        with self._sentences():
            self._home, self._account = home_of(self._data_dir)
            if self._folder.path != self._home:
                self._folder = ServerFolder(self._home)
            with self._folder.locked():
                self._folder.resign()  # the server may have died, and another process may have started it again
                for leftover in self._home.glob(f"{SCRATCH}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                programs = folder_for_programs(self._home, self._account)
                self._binaries = PostgresBinaries.locate().reachable_by(self._account, programs)
                self._data = self._home / str(self._binaries.major)
                if not self._data.exists():
                    refuse_other_majors(self._home, self._binaries.major)
                    make_data(self._data, self._account, self._binaries)
                if not self._joined():
                    self._launch()

    def stop(self) -> None:
        """Stop the server if this object started it, and cut off its clients. Otherwise leave it alone."""
        if not self._folder.started_here:
            return
        with self._sentences(), self._folder.locked():
            # If another process has killed and restarted the server meanwhile, the server belongs to that process.
            if self._runs() and self._postmaster_line(0) == str(self._pid):
                self._halt()
            self._folder.resign()

    @property
    def url(self) -> str:
        """The service's database as a libpq URL, percent-encoded, with user and password."""
        return self.database_url(_DATABASE)

    def database_url(self, name: str) -> str:
        """The URL of another database of the same server. The database need not exist."""
        if not self._socket_folder:
            raise EmbeddedPostgresError("PostgreSQL has not been started.")
        host = quote(os.fsencode(self._socket_folder), safe="")
        # The URL names the port although it is the default: otherwise libpq would take it from the environment.
        return f"postgresql://{SUPERUSER}:{self._password}@/{quote(name, safe='')}?host={host}&port={self._port}"

    @property
    def started_here(self) -> bool:
        """Whether this object will stop the server."""
        return self._folder.started_here

    @property
    def pid(self) -> int:
        """The process id of the server's first process, the postmaster."""
        return self._pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EmbeddedPostgresError(f"PostgreSQL cannot live in {self._data_dir}: {error}.") from error
        except (psycopg.Error, Unavailable) as error:
            reason = " ".join(str(error).split())
            raise EmbeddedPostgresError(f"PostgreSQL in {self._data_dir} turned us away: {reason}.") from error

    def _launch(self) -> None:
        """Start a server and become its starter, whatever became of an earlier one."""
        self._folder.begin()
        self._binaries.discard_other_copies(folder_for_programs(self._home, self._account))
        try:
            self._start_server()
            self._open_database()
        except BaseException:
            if self._is_alive():  # Also while it recovers: an operator who interrupts does not want to wait for that.
                self._halt()
            self._folder.resign()
            raise

    def _start_server(self) -> None:
        log = self._data / "server.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(self._data / "server.log.1")
        quoted = '"' + str(make_socket_folder(self._home, self._account)).replace('"', '""') + '"'
        settings = {"max_connections": "100", "cluster_name": _NAME} | self._settings
        settings |= {"listen_addresses": "", "port": str(PORT), "unix_socket_directories": quoted}
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        patience = time.monotonic() + _ORPHANS_PATIENCE
        while True:
            begin = log.stat().st_size if log.exists() else 0
            done = self._control("start", "-l", f"{self._data.name}/{log.name}", "-o", options)
            if done.returncode == 0:
                return
            said = log.read_bytes()[begin:].decode(errors="replace") if log.exists() else ""
            # The children of a killed postmaster finish their work and end. Until then the data still belongs to them.
            if "pre-existing shared memory block" not in said or time.monotonic() > patience:
                reason = last_lines(said or done.stderr)
                raise EmbeddedPostgresError(f"PostgreSQL did not start in {self._data}: {reason}")
            time.sleep(0.1)

    def _joined(self) -> bool:
        """Use the running server, and take its starter's place if the starter died without stopping it. False if none runs."""
        if not self._runs():
            return False
        postmaster = WatchedProcess(int(self._postmaster_line(0) or 0))
        try:
            if self._open_database() == _NAME:  # Otherwise an operator has started it by hand.
                self._folder.succeed()
        except (psycopg.OperationalError, Unavailable):
            # A server that was killed a moment ago has closed its socket, and its process is gone a moment later.
            if not postmaster.has_ended(_DYING_WITHIN):
                raise
            return self._joined()
        finally:
            postmaster.close()
        return True

    def _open_database(self) -> str:
        """Find out where the server listens, make the service's database, and return the server's name."""
        self._pid, self._port = int(self._postmaster_line(0)), self._postmaster_line(3)
        self._socket_folder = self._postmaster_line(4)
        if not self._socket_folder:
            raise EmbeddedPostgresError(f"The server that runs in {self._data} has no unix socket: stop it first.")
        self._password = (self._home / "password").read_text()
        with connect_blocking(self.database_url("postgres"), _SESSION, autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", (_DATABASE,)).fetchall():
                connection.execute(f"CREATE DATABASE {_DATABASE}")
            return str(connection.execute("SELECT current_setting('cluster_name')").fetchall()[0][0])

    def _halt(self) -> None:
        with wait_until_exited(int(self._postmaster_line(0) or 0)):
            done = self._control("stop", "-m", "fast")
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"PostgreSQL in {self._data} did not stop: {last_lines(done.stderr)}")
        if self._socket_folder and (folder := Path(self._socket_folder)).parent != self._home:
            with contextlib.suppress(OSError):
                folder.rmdir()  # It is in the system's folder for temporary files, which must stay tidy.

    def _runs(self) -> bool:
        """Waits until no start or stop is in progress, and returns whether a server runs on the data."""
        patience = time.monotonic() + _PATIENCE
        while self._is_alive():
            if self._postmaster_line(7) == "ready":
                return True
            if time.monotonic() > patience:
                raise EmbeddedPostgresError(f"PostgreSQL in {self._data} has been starting or stopping for too long.")
            time.sleep(0.05)
        return False

    def _is_alive(self) -> bool:
        done = self._run("pg_ctl", "status", "-D", self._data.name)
        if done.returncode == 3:
            return False
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{self._data} is not usable: {last_lines(done.stdout + done.stderr)}")
        # After a crash, above all in a container, the pid in the file may now be any process of the account, or a dead one for which no
        # parent has waited. PostgreSQL would trust it and never start again.
        pid = self._postmaster_line(0)
        if not pid.isdecimal() or self._account.agrees(_IS_POSTMASTER, pid, self._data):
            return True
        # A pid that never exists, rather than no file: the file also protects the data from orphans of the old postmaster.
        with os.fdopen(os.open(self._data / "postmaster.pid", os.O_RDWR | os.O_NOFOLLOW), "r+") as file:
            lines = file.read().split("\n")
            file.seek(0)
            file.truncate()
            file.write("\n".join([str(_NO_PID), *lines[1:]]))
        return False

    def _postmaster_line(self, number: int) -> str:
        """A line of the file in which the server describes itself: 0 its pid, 4 its socket folder, 7 its state."""
        try:
            return os.fsdecode((self._data / "postmaster.pid").read_bytes()).split("\n")[number].strip()
        except (FileNotFoundError, IndexError):
            return ""

    def _control(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self._run("pg_ctl", verb, "-D", self._data.name, "-w", "-t", str(_PATIENCE), *options)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Paths are relative to the home, because pg_ctl hands them to a shell within double quotes.
        return self._account.run([self._binaries.folder / program, *arguments], cwd=self._home)
