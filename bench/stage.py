"""What all contenders share: one PostgreSQL, the cores, the users, a folder for what is made on the way."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path

import psycopg
from rich.console import Console

from bench.contender import Contender
from bench.cores import Cores, pin, pin_family
from bench.record import Record
from bench.server import running
from bench.size import Size
from bench.trial import Trial
from bench.users import ISSUER, Issuer, User, Users, numbered
from infrastructure.embedded_postgres import EmbeddedPostgres

WORK = Path(__file__).with_name(".work")
MEMORY = Path("/dev/shm")
"""Files in memory, where there is such a place."""
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


class Stage:
    def __init__(self, size: Size, work: Path, postgres: EmbeddedPostgres, console: Console) -> None:
        self.size, self.work, self.console = size, work, console
        self.cores = Cores.of_this_machine()
        self._postgres = postgres
        self.issuer = Issuer()
        # Servers write their logs to memory: on the disk, PostgreSQL's fsync would have to wait for them, and in earnest they go
        # to another process.
        self._logs = Path(tempfile.mkdtemp(prefix="preferences-bench-", dir=MEMORY if MEMORY.is_dir() else work))

    @classmethod
    @contextmanager
    def set_up(cls, size: Size, console: Console) -> Iterator["Stage"]:
        """All that the benchmark needs; nothing of it is left behind."""
        WORK.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
        # PostgreSQL doesn't run as root; where we do, its account has to get through here.
        work.chmod(0o711)
        postgres = EmbeddedPostgres(work, settings=DURABLE)
        stage = cls(size, work, postgres, console)
        pin(stage.cores.others)
        home = None
        try:
            with postgres:
                home = Path(str(stage.setting("data_directory"))).parent
                yield stage
        finally:
            # Where the server's account can't enter our folder, its data lies elsewhere.
            if home is not None:
                shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(stage._logs, ignore_errors=True)

    @cached_property
    def users(self) -> Users:
        return self.make_users("users", [numbered(number) for number in range(self.size.users)])

    def make_users(self, name: str, users: list[User]) -> Users:
        return Users.make(users, self.issuer, self.work / f"{name}.tokens")

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh one, by its URL."""
        self._administer(f"CREATE DATABASE {name}")
        try:
            yield self._postgres.database_url(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def trial(
        self,
        contender: Contender,
        url: str,
        *,
        users: Users | None = None,
        pinned: bool = True,
        workers: int = 1,
        origin: str | None = None,
    ) -> Iterator[Trial]:
        """The contender, serving on a database."""
        users = users or self.users
        if contender.prepare is not None:
            contender.prepare(url)
        cores = self.cores.server if pinned else self.cores.everything
        log = self._logs / f"{contender.name}.log"
        settings = {**self.settings(url), "WEB_CONCURRENCY": str(workers)}
        with ExitStack() as stack:
            server = stack.enter_context(running(contender, settings, cores, users.a_token, log))
            record = stack.enter_context(closing(Record(contender, url)))
            yield Trial(server, record, users, self.work, origin)

    def settings(self, url: str) -> Mapping[str, str]:
        return {
            "DATABASE_URL": url,
            "DATA_DIR": str(self.work),
            "CLERK_ISSUER": ISSUER,
            "CLERK_JWT_KEY": self.issuer.public_pem,
        }

    def settle(self) -> None:
        """Have PostgreSQL and the kernel write out what earlier runs left in memory, so that no run pays for another."""
        self._administer("CHECKPOINT")
        os.sync()

    @contextmanager
    def unpinned(self) -> Iterator[None]:
        """PostgreSQL and the load on all cores, too."""
        self._spread(self.cores.everything)
        try:
            yield
        finally:
            self._spread(self.cores.others)

    def setting(self, name: str) -> object:
        """A setting of PostgreSQL."""
        with psycopg.connect(self._postgres.url) as connection:
            return connection.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0]

    def _spread(self, cores: frozenset[int]) -> None:
        pin(cores)
        pin_family(cores, self._postgres.pid)

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._postgres.url, autocommit=True) as connection:
            connection.execute(statement)
