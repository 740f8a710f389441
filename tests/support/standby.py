"""Two real PostgreSQL servers, of which one follows the other until it is promoted."""

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import urlsplit

import psycopg

from infrastructure.embedded.postgres.account import ServerAccount
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from infrastructure.postgres import migrations
from tests.support import processes
from tests.support.memory import in_memory

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # a server that is killed loses nothing that it has handed to the system
    "max_connections": "60",
    "shared_buffers": "32MB",
    "max_wal_senders": "4",
    "wal_level": "logical",
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
        shutil.rmtree(self.data, ignore_errors=True)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def copy(self, primary: "_Server") -> None:
        """Become a standby of another server."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._run("pg_basebackup", "-D", self.data, "-h", primary.socket, "-U", "postgres", "-R", "-c", "fast", "-N")

    def dump_schema(self, database: str) -> str:
        said = self._run("pg_dump", "--schema-only", "-h", self.socket, "-U", "postgres", database)
        # What only psql understands, and a search path that would stay.
        return "\n".join(
            line for line in said.splitlines() if not line.startswith("\\") and "set_config('search_path'" not in line
        )

    def start(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket), "hot_standby": "on"}
        options = (
            " ".join(f"-c {name}={value}" for name, value in settings.items() if value) + " -c listen_addresses=''"
        )
        log = self.data / "server.log"
        self._run("pg_ctl", "start", "-D", self.data, "-w", "-s", "-l", log, "-o", options)

    @property
    def process(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

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

    def _run(self, program: str, *arguments: str | Path) -> str:
        done = self._account.run([self._binaries.folder / program, *arguments], cwd=self._home)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout


class Pair:
    """A primary and its standby."""

    def __init__(self, home: Path) -> None:
        home.chmod(0o755)
        account = ServerAccount.current() if ServerAccount.current().uid else ServerAccount.unprivileged()
        self._home = home / "pair"
        self._home.mkdir()
        account.own(self._home)
        binaries = PostgresBinaries.locate().reachable_by(account, home)
        self._synchronous = False
        self._databases = itertools.count(1)
        self.primary, self.standby = (_Server(self._home, number, binaries, account) for number in (1, 2))
        self._hosts = ",".join(str(server.socket) for server in (self.primary, self.standby))

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        with TemporaryDirectory(prefix="pair-", dir=in_memory()) as home:
            pair = cls(Path(home))
            try:
                pair.primary.initialise()
                pair.primary.start()
                yield pair
            finally:
                pair.primary.kill()
                pair.standby.kill()

    def both(self, url: str) -> tuple[str, str]:
        """The URL of a database on the primary, and on the standby, which has it."""
        self.catch_up()
        name = urlsplit(url).path.removeprefix("/")
        return self.primary.url(name), self.standby.url(name)

    def new_database(self) -> str:
        """A URL that leads to whichever server can be written to."""
        name = f"preferences_{next(self._databases)}"
        _execute(self.primary.url(), f"CREATE DATABASE {name}")
        migrations.migrate(self.primary.url(name))
        return f"postgresql://postgres@/{name}?host={self._hosts}&target_session_attrs=read-write"

    def copy_logically(self, url: str) -> str:
        """A copy of a database on a server of its own, which logical replication has brought to the end of the log, and which is
        cut off from it then; its URL. What isn't replicated, the sequences, is as in an empty database."""
        name = urlsplit(url).path.removeprefix("/")
        source, target = self.primary.url(name), self.standby.url(name)
        self.standby.kill()
        self.standby.initialise()
        self.standby.start()
        _execute(self.standby.url(), f"CREATE DATABASE {name}")
        schema = self.primary.dump_schema(name)
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute(schema.encode())
        _execute(source, "CREATE PUBLICATION everything FOR ALL TABLES")
        where = f"host={self.primary.socket} user=postgres dbname={name}"
        _execute(target, f"CREATE SUBSCRIPTION everything CONNECTION '{where}' PUBLICATION everything")
        with psycopg.connect(source, autocommit=True) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM preferences_events").fetchall()
        _until(target, f"SELECT count(*) = {count} FROM preferences_events")
        _until(target, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
        _execute(target, "DROP SUBSCRIPTION everything")
        return target

    def follow(self, *, synchronous: bool | None = None) -> None:
        """Have a standby anew, and all of the primary in it. With a synchronous one, nothing is acknowledged that it lacks."""
        self._synchronous = self._synchronous if synchronous is None else synchronous
        self._wait_for("")
        self.standby.kill()
        self.standby.copy(self.primary)
        self.standby.start()
        if self._synchronous:
            self._wait_for("*")
            _until(self.primary.url(), "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'")
        self.catch_up()

    def _wait_for(self, standbys: str) -> None:
        """Which standbys a commit on the primary waits for."""
        _execute(self.primary.url(), f"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'")
        _execute(self.primary.url(), "SELECT pg_reload_conf()")

    def catch_up(self) -> None:
        """Return when the standby has replayed what the primary has now."""
        with psycopg.connect(self.primary.url(), autocommit=True) as connection:
            [(end,)] = connection.execute("SELECT pg_current_wal_lsn()").fetchall()
        _until(self.standby.url(), f"SELECT pg_last_wal_replay_lsn() >= '{end}'")

    def lag(self) -> list[int]:
        """From now on, nothing that the primary writes reaches the standby; the processes to thaw."""
        with psycopg.connect(self.primary.url(), autocommit=True) as connection:
            senders = [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_replication")]
        assert senders
        return processes.freeze(senders[0])

    def pause(self) -> None:
        """From now on, the standby receives what the primary writes, and replays none of it."""
        _execute(self.standby.url(), "SELECT pg_wal_replay_pause()")
        _until(self.standby.url(), "SELECT pg_get_wal_replay_pause_state() = 'paused'")

    def go_on(self) -> None:
        """The standby replays again, and has all that the primary has now."""
        _execute(self.standby.url(), "SELECT pg_wal_replay_resume()")
        self.catch_up()

    def fail_over(self) -> None:
        """Kill the primary, and promote the standby in its place."""
        self.primary.kill()
        _execute(self.standby.url(), "SELECT pg_promote(true, 60)")
        self.primary, self.standby = self.standby, self.primary
        self._wait_for("")


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _until(url: str, question: str) -> None:
    deadline = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(question.encode()).fetchone() != (True,):
            assert time.monotonic() < deadline, question
            time.sleep(0.01)
