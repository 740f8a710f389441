"""A PostgreSQL of our own: real servers, each in a folder of its own, none of which outlives its test."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support.embedded_servers import copy, is_running, kept, write

MAJOR = str(PostgresBinaries.locate().major)


def test_a_first_start_makes_the_database_and_a_second_one_finds_the_same_data(folder):
    with EmbeddedPostgres(folder / "data") as server:
        assert server.started_here
        write(server)
        first = server.pid
    assert not is_running(server)
    with EmbeddedPostgres(folder / "data") as server:
        assert server.pid != first
        assert kept(server) == "straße"


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
    with EmbeddedPostgres(copy(first_start, folder / name / "data")) as server:
        assert kept(server) == "straße"


def test_a_relative_path_is_the_same_folder(first_start, monkeypatch):
    monkeypatch.chdir(first_start.parent)
    with EmbeddedPostgres(Path(first_start.name)) as server, EmbeddedPostgres(first_start) as same:
        assert same.pid == server.pid


def test_a_running_server_is_used_and_left_running_by_who_did_not_start_it(first_start):
    with EmbeddedPostgres(first_start) as starter:
        with EmbeddedPostgres(first_start) as guest:
            assert not guest.started_here
            assert (guest.pid, guest.url) == (starter.pid, starter.url)
        assert is_running(starter)
        starter.stop()
        assert not is_running(starter)
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
