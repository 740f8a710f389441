"""`preferences probe`: the health check of a container."""

import socket
import threading
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.api.command_line.test_help import HEAVY, loaded_by
from tests.support.command import Command, Result
from tests.support.server import Server


@pytest.fixture
def probe(nowhere: Command, monkeypatch, capsys) -> Callable[..., Result]:
    """Without a database, and with no setting but those given."""
    return lambda *arguments, **settings: nowhere.inside(monkeypatch, capsys, "probe", *arguments, **settings)


def port_of(server: Server) -> str:
    return server.url.rsplit(":", 1)[1]


@pytest.mark.parametrize(("question", "path"), [("live", "/healthz"), ("ready", "/readyz")])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_service_that_lives_and_can_serve_is_exit_code_0(server: Server, probe, question, path, host) -> None:
    result = probe(question, host=host, port=port_of(server))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", f"{path} answers 200.\n")


def test_the_address_may_be_an_option(server: Server, probe) -> None:
    assert probe("live", "--host", "127.0.0.1", "--port", port_of(server), port="1").returncode == 0


def test_a_service_without_its_database_lives_and_can_not_serve(serve, postgres, database_url: str, probe) -> None:
    port = port_of(serve())
    # Given a service whose database is gone,
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {conninfo_to_dict(database_url)['dbname']} WITH (FORCE)")
    # then it lives,
    assert probe("live", port=port).returncode == 0
    # and the reason why it can't serve is told.
    result = probe("ready", port=port)
    assert result.returncode == 1
    assert result.stderr.startswith("error: /readyz answers 503: database ")


def test_nothing_at_the_port_is_exit_code_1(probe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = probe("live", port=port)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: no answer from 127.0.0.1 port {port}: [Errno 111] Connection refused\n"


def test_a_process_that_hangs_is_exit_code_1_within_the_time(probe) -> None:
    # A listener that accepts no connection: the kernel completes the handshake, as for a process that hangs.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = probe("live", "--within", "0.1", port=silent.getsockname()[1])
    assert result.returncode == 1
    assert result.stderr.endswith("timed out\n")


def test_what_is_no_http_is_exit_code_1(probe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(10)

        def greet() -> None:
            connection, _ = other.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        greeting = threading.Thread(target=greet)
        greeting.start()
        result = probe("live", port=other.getsockname()[1])
        greeting.join()
    assert result.returncode == 1
    assert result.stderr.startswith("error: no answer from 127.0.0.1 port")


def test_a_port_that_is_none_is_misspelt(probe) -> None:
    assert probe("live", port="http").returncode == 2
    assert probe("live", port="70000").returncode == 1


def test_a_health_check_loads_no_library(server: Server) -> None:
    """It runs every few seconds in each container, for as long as that lives."""
    loaded = loaded_by("probe ready", host="0.0.0.0", port=port_of(server))
    assert "api.command_line.quick_probe" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {*HEAVY, "typer", "click", "rich", "structlog", "asyncio"}
