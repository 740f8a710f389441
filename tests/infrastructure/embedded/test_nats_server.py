import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import nats
import pytest

from infrastructure.embedded.nats_server import NatsServer, NatsServerError
from tests.support import processes


@pytest.fixture
def new_server(folder: Path) -> Iterator[Callable[..., NatsServer]]:
    """Names a server on the folder, and sees to it that none is left behind."""
    made: list[NatsServer] = []

    def make(**settings: object) -> NatsServer:
        made.append(NatsServer(folder, settings=settings))
        return made[-1]

    yield make
    for server in made:
        server.stop()


async def stored(url: str, body: bytes | None = None) -> list[bytes]:
    """Store a message, if one is given; all that are stored."""

    async def quiet(_error: Exception) -> None: ...

    connection = await nats.connect(url, allow_reconnect=False, error_cb=quiet)
    stream = connection.jetstream()
    info = await stream.add_stream(name="notes", subjects=["notes"])
    if body is not None:
        await stream.publish("notes", body)
        info = await stream.stream_info("notes")
    bodies = [(await stream.get_msg("notes", number + 1)).data for number in range(info.state.messages)]
    await connection.close()
    return bodies


async def test_what_was_stored_is_there_after_a_stop_and_at_the_same_address(new_server) -> None:
    with new_server() as server:
        assert server.started_here
        first = server.url
        await stored(server.url, b"one")
    with new_server() as server:
        assert server.url == first
        assert await stored(server.url) == [b"one"]


async def test_what_was_acknowledged_is_there_after_a_kill(new_server) -> None:
    server = new_server()
    server.start()
    await stored(server.url, b"one")
    processes.kill(server.pid)
    server.start()
    assert server.started_here
    assert await stored(server.url) == [b"one"]


async def test_a_second_process_uses_the_server_that_runs_and_leaves_it_running(new_server) -> None:
    first, second = new_server(), new_server()
    first.start()
    second.start()
    assert (second.url, second.pid, second.started_here) == (first.url, first.pid, False)
    second.stop()
    assert await stored(first.url, b"one") == [b"one"]
    first.stop()
    assert not processes.lives(first.pid)


def test_who_finds_the_server_of_a_killed_starter_takes_its_place(new_server, folder) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from infrastructure.embedded.nats_server import NatsServer\n"
        "NatsServer(Path(sys.argv[1])).start(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, folder], check=False, cwd=Path(__file__).parents[3])
    server = new_server()
    server.start()
    assert server.started_here
    server.stop()
    assert not processes.lives(server.pid)


def test_who_starts_it_anew_after_a_kill_is_the_one_who_stops_it(new_server) -> None:
    # Given a server that was killed, though who started it lives
    first, second = new_server(), new_server()
    first.start()
    processes.kill(first.pid)
    # when somebody else starts it again
    second.start()
    assert second.started_here
    # then the first one has nothing to stop any more, and the other one does.
    first.stop()
    assert processes.lives(second.pid)
    second.stop()
    assert not processes.lives(second.pid)


def test_nothing_that_another_account_could_read_or_reach(new_server, folder) -> None:
    with new_server() as server:
        assert stat.S_IMODE((folder / "nats").stat().st_mode) == 0o700
        for secret in ("token", "server.conf"):
            assert stat.S_IMODE((folder / "nats" / secret).stat().st_mode) == 0o600
        host, port = server.url.rpartition("@")[2].split(":")
        assert host == "127.0.0.1"
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
            time.sleep(0.2)
            assert b"Authorization Violation" in stranger.recv(65536)


def test_a_port_that_is_taken_by_now_is_given_up(new_server, folder) -> None:
    with ExitStack() as taken:
        with new_server() as server:
            port = int(server.url.rpartition(":")[2])
        other = taken.enter_context(socket.socket())
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with new_server() as server:
            assert int(server.url.rpartition(":")[2]) != port


def test_a_port_whose_file_was_cut_short_is_given_up(new_server, folder) -> None:
    with new_server():
        pass
    # As after the loss of power in the middle of a write.
    (folder / "nats" / "port").write_text("")
    with new_server() as server:
        assert processes.lives(server.pid)


def test_why_it_does_not_start_is_one_sentence(new_server, folder) -> None:
    (folder / "nats").mkdir()
    (folder / "nats" / "jetstream").write_text("a file where a folder should be")
    with pytest.raises(NatsServerError, match="did not start in"):
        new_server().start()


def test_its_url_is_known_once_it_runs(new_server) -> None:
    with pytest.raises(NatsServerError, match="has not been started"):
        _ = new_server().url
