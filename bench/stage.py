"""What all contenders share: one PostgreSQL, the cores, the users, a folder for what is made on the way."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import psycopg

from bench.contender import Contender
from bench.cores import Cores, pin, pin_family
from bench.processor import Account
from bench.record import Record
from bench.server import running
from bench.size import Size
from bench.standby import standby_of
from bench.stored_log import fill
from bench.trial import Trial
from bench.users import ISSUER, Issuer, User, Users, numbered
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres import migrations

WORK = Path(__file__).with_name(".work")
MEMORY = Path("/dev/shm")
"""Files in memory, where there is such a place."""
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


class Stage:
    def __init__(self, size: Size, work: Path, postgres: EmbeddedPostgres) -> None:
        self.size, self.work = size, work
        self.cores = Cores.of_this_machine()
        self.issuer = Issuer()
        self._postgres = postgres
        self._numbers = count(1)
        # Servers write their logs to memory. On the disk, PostgreSQL's fsync would have to wait for the logs; in
        # production they go to another process.
        self._logs = Path(tempfile.mkdtemp(prefix="preferences-bench-", dir=MEMORY if MEMORY.is_dir() else work))

    @classmethod
    @contextmanager
    def set_up(cls, size: Size) -> Iterator["Stage"]:
        """All that the benchmark needs; nothing of it is left behind."""
        WORK.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
        # PostgreSQL doesn't run as root; where the benchmark does, PostgreSQL's account has to get through here.
        work.chmod(0o711)
        postgres = EmbeddedPostgres(work, settings=DURABLE)
        stage = cls(size, work, postgres)
        pin(stage.cores.others)
        home = None
        try:
            with postgres:
                home = Path(str(stage.setting("data_directory"))).parent
                yield stage
        finally:
            # Where PostgreSQL's account can't enter our folder, its data lies elsewhere.
            if home is not None:
                shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(stage._logs, ignore_errors=True)

    @cached_property
    def users(self) -> Users:
        return self.make_users([numbered(number) for number in range(self.size.users)])

    def make_users(self, users: list[User]) -> Users:
        return Users.make(users, self.issuer, self.work / f"{next(self._numbers)}.tokens")

    @contextmanager
    def database(self, like: str = "template1") -> Iterator[str]:
        """A fresh one, by its URL, or a copy of another one, by that one's name."""
        name = f"bench_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {like}")
        try:
            yield self._postgres.database_url(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def log(self, users: int, events: int) -> Iterator[str]:
        """A fresh database with a log, in which each of the users has so many events."""
        with self.database() as url:
            migrations.migrate(url)
            fill(url, map(numbered, range(users)), events)
            yield url

    @contextmanager
    def standby(self, url: str) -> Iterator[str]:
        """The URL of the same database on a standby of this PostgreSQL."""
        home = Path(str(self.setting("data_directory"))).parent
        folder = self.work / f"standby-{next(self._numbers)}"
        with standby_of(
            self._postgres.database_url("postgres"), home / "password", folder, self.cores.others
        ) as standby:
            yield standby.database_url(str(psycopg.conninfo.conninfo_to_dict(url)["dbname"]))

    @contextmanager
    def trial(
        self,
        contender: Contender,
        url: str | None = None,
        *,
        users: Users | None = None,
        pinned: bool = True,
        workers: int = 1,
        origin: str | None = None,
    ) -> Iterator[Trial]:
        """The contender, serving on a database: a fresh one, unless another is given."""
        users = users or self.users
        cores = self.cores.server if pinned else self.cores.everything
        with ExitStack() as stack:
            url = url or stack.enter_context(self.database())
            if contender.prepare is not None:
                contender.prepare(url)
            settings = {**self.settings(url), "WEB_CONCURRENCY": str(workers)}
            log = self._logs / f"{next(self._numbers)}.log"
            server = stack.enter_context(running(contender, settings, cores, users.a_token, log))
            record = stack.enter_context(closing(Record(contender, url)))
            account = self.account(record, server.process.pid)
            yield Trial(server, record, account, users, self.work, origin, followed=contender.followed)

    def account(self, record: Record, server: int | None = None) -> Account:
        return Account(server, self._postgres.pid, record)

    def settings(self, url: str) -> Mapping[str, str]:
        # Each database has a folder of its own: checkpoints signed of one log must not be held against another.
        folder = self.work / str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        folder.mkdir(exist_ok=True)
        return {
            "DATABASE_URL": url,
            "DATA_DIR": str(folder),
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
