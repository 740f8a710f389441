"""PgBouncer between the service and a PostgreSQL, as Debian ships it."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.counterparts import counterpart
from tests.support.eventually import until


@contextmanager
def pooled(postgres: EmbeddedPostgres, url: str, folder: Path, mode: str = "session", more: str = "") -> Iterator[str]:
    """The URL of a database by way of the pooler. `mode` is its pool_mode; all else is as it comes, and `more` lines."""
    program = counterpart("pgbouncer", "PgBouncer isn't there: install Debian's pgbouncer")
    of = conninfo_to_dict(url)
    folder.chmod(0o755)
    users = folder / "users.txt"
    users.write_text(f'"{of["user"]}" "{of["password"]}"\n')
    users.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={of['host']} port={of['port']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = md5\nauth_file = {users}\npool_mode = {mode}\n{more}\n"
    )
    account = postgres._account
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            [program, configuration],
            stdout=log,
            stderr=log,
            user=account.uid if account.is_another else None,
            group=account.gid if account.is_another else None,
            extra_groups=account.groups if account.is_another else None,
        )
    parts = urlsplit(url)
    by_way_of_it = urlunsplit(parts._replace(netloc=f"{of['user']}:{of['password']}@127.0.0.1:{port}", query=""))
    try:
        until(lambda: _answers(by_way_of_it) or process.poll() is not None)
        assert process.poll() is None, (folder / "pgbouncer.log").read_text()
        yield by_way_of_it
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
