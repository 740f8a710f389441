"""Two real PostgreSQL servers, of which one follows the other until it is promoted."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import psycopg

from infrastructure.embedded_postgres.account import ServerAccount
from infrastructure.embedded_postgres.binaries import PostgresBinaries
from tests.support import processes

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # a server that is killed loses nothing that it has handed to the system
    "max_connections": "60",
    "shared_buffers": "32MB",
    "max_wal_senders": "4",
    "wal_level": "replica",
    "max_wal_size": "256MB",
    "wal_receiver_status_interval": "1s",
}


class _Server:
    """One server, in a folder and with a socket of its own."""

    def __init__(self, home: Path, number: int, binaries: PostgresBinaries, account: ServerAccount) -> None:
        self._home, self._binaries, self._account = home, binaries, account
        self.data, self.socket = home / f"data{number}", home / f"socket{number}"
        self.socket.mkdir()
        account.own(self.socket)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.socket}"

    def initialise(self) -> None:
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def copy(self, primary: "_Server") -> None:
        """Become a standby of another server."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._run("pg_basebackup", "-D", self.data, "-h", primary.socket, "-U", "postgres", "-R", "-c", "fast", "-N")

    def start(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket), "hot_standby": "on"}
        options = (
            " ".join(f"-c {name}={value}" for name, value in settings.items() if value) + " -c listen_addresses=''"
        )
        log = self.data / "server.log"
        self._run("pg_ctl", "start", "-D", self.data, "-w", "-s", "-l", log, "-o", options)

    def kill(self) -> None:
        """SIGKILL to all of its processes, as if the machine were gone."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return
        processes.kill(int(lines[0]))
        # The next server in this place is another one, so that nobody takes care of the dead one's shared memory.
        if len(lines) > 6 and lines[6].split():
            subprocess.run(["ipcrm", "-m", lines[6].split()[1]], check=False, capture_output=True)
        for left in self.socket.iterdir():
            left.unlink()

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = self._account.run([self._binaries.folder / program, *arguments], cwd=self._home)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


class Pair:
    """A primary and its standby. `url` leads to whichever can be written to."""

    def __init__(self, home: Path, *, synchronous: bool = False) -> None:
        home.chmod(0o755)
        account = ServerAccount.current() if ServerAccount.current().uid else ServerAccount.unprivileged()
        self._home = home / "pair"
        self._home.mkdir()
        account.own(self._home)
        binaries = PostgresBinaries.locate().reachable_by(account, home)
        self._synchronous = synchronous
        self.primary, self.standby = (_Server(self._home, number, binaries, account) for number in (1, 2))
        hosts = ",".join(str(server.socket) for server in (self.primary, self.standby))
        self.url = f"postgresql://postgres@/preferences?host={hosts}&target_session_attrs=read-write"

    @classmethod
    @contextmanager
    def running(cls, *, synchronous: bool = False) -> Iterator[Self]:
        with TemporaryDirectory(prefix="pair-") as home:
            pair = cls(Path(home), synchronous=synchronous)
            try:
                pair.primary.initialise()
                pair.primary.start()
                _execute(pair.primary.url("postgres"), "CREATE DATABASE preferences")
                pair.follow()
                yield pair
            finally:
                pair.primary.kill()
                pair.standby.kill()

    def follow(self) -> None:
        """Have a standby, and all of the primary in it."""
        self.standby.copy(self.primary)
        self.standby.start()
        if self._synchronous:
            _execute(self.primary.url("postgres"), "ALTER SYSTEM SET synchronous_standby_names = '*'")
            _execute(self.primary.url("postgres"), "SELECT pg_reload_conf()")
            _until(
                self.primary.url("postgres"), "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'"
            )
        self.catch_up()

    def catch_up(self) -> None:
        """Return when the standby has replayed what the primary has now."""
        with psycopg.connect(self.primary.url("postgres"), autocommit=True) as connection:
            [(end,)] = connection.execute("SELECT pg_current_wal_lsn()").fetchall()
        _until(self.standby.url("postgres"), f"SELECT pg_last_wal_replay_lsn() >= '{end}'")

    def lag(self) -> None:
        """From now on, nothing that the primary writes reaches the standby."""
        with psycopg.connect(self.primary.url("postgres"), autocommit=True) as connection:
            senders = [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_replication")]
        assert senders
        processes.freeze(senders[0])

    def fail_over(self) -> None:
        """Kill the primary, and promote the standby in its place."""
        self.primary.kill()
        _execute(self.standby.url("postgres"), "ALTER SYSTEM RESET synchronous_standby_names")
        _execute(self.standby.url("postgres"), "SELECT pg_promote(true, 60)")
        self.primary, self.standby = self.standby, self.primary
        _execute(self.primary.url("postgres"), "SELECT pg_reload_conf()")


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _until(url: str, question: str) -> None:
    deadline = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(question.encode()).fetchone() != (True,):
            assert time.monotonic() < deadline, question
            time.sleep(0.01)
