"""A PostgreSQL that says that it is an older one: nothing but its version is changed on the way to the client."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict


@contextmanager
def saying(url: str, version: bytes) -> Iterator[str]:
    """The URL of the same database, by way of somebody who says that it is another `version`, as long as the real one."""
    of = conninfo_to_dict(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(
            target=_serve, args=(listener, f"{of['host']}/.s.PGSQL.{of['port']}", version), daemon=True
        ).start()
        parts = urlsplit(url)
        credentials, port = parts.netloc.rpartition("@")[0], listener.getsockname()[1]
        yield urlunsplit(
            parts._replace(netloc=f"{credentials}@127.0.0.1:{port}", query="sslmode=disable&gssencmode=disable")
        )
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, path: str, version: bytes) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            threading.Thread(target=_hand_on, args=(client, server, None), daemon=True).start()
            threading.Thread(target=_hand_on, args=(server, client, version), daemon=True).start()


def _hand_on(source: socket.socket, target: socket.socket, version: bytes | None) -> None:
    name = b"server_version\0"
    with closing(source), closing(target), suppress(OSError):
        while said := source.recv(1 << 16):
            if version and (at := said.find(name)) >= 0:
                start = at + len(name)
                assert said.index(b"\0", start) - start == len(version)
                said = said[:start] + version + said[start + len(version) :]
            target.sendall(said)
        target.shutdown(socket.SHUT_WR)
