"""Three PostgreSQL servers under Patroni, with etcd; each of them can be killed, frozen, cut off, or asked to hand over."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support import processes
from tests.support.counterparts import counterpart, missing
from tests.support.machines import Machines
from tests.support.ports import free_port

PASSWORD = "preferences"
WITHIN = 90.0
"""Seconds in which a cluster must be whole again."""

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
OWN = {
    "fsync": "off",  # a server that is killed loses nothing that it has handed to the system
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "wal_keep_size": "128MB",
}
"""Parameters of PostgreSQL that only the tests set."""


def box(language: str) -> str:
    """The box of the page in this language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return found


def settings() -> dict[str, Any]:
    """Patroni's, as the page says them."""
    said = yaml.safe_load(box("yaml"))["bootstrap"]["dcs"]
    said["postgresql"]["parameters"].update(OWN)
    return dict(said)


class Node:
    """A machine with Patroni and its PostgreSQL."""

    def __init__(self, number: int, home: Path, machines: Machines, etcd: str, binaries: Path) -> None:
        self.number, self.name, self.host = number, f"node{number}", machines.addresses[number]
        self._machines = machines
        self.home = home / self.name
        self.home.mkdir(mode=0o700)
        self._log = (home / f"{self.name}.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []
        config = self.home / "patroni.json"
        config.write_text(json.dumps(self._configuration(etcd, binaries)))
        for each in (self.home, config):
            machines.account.own(each)
        self._command = machines.command(number, [sys.executable, "-m", "patroni", config])

    def _configuration(self, etcd: str, binaries: Path) -> dict[str, Any]:
        user = {"username": "postgres", "password": PASSWORD}
        return {
            "scope": "preferences",
            "name": self.name,
            "restapi": {"listen": f"{self.host}:8008", "connect_address": f"{self.host}:8008"},
            "etcd3": {"host": etcd},
            "bootstrap": {
                "dcs": settings(),
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
            },
            "postgresql": {
                "listen": f"{self.host}:5432",
                "connect_address": f"{self.host}:5432",
                "data_dir": str(self.home / "data"),
                "bin_dir": str(binaries),
                "pgpass": str(self.home / "pgpass"),
                "authentication": {"superuser": user, "replication": user, "rewind": user},
                "pg_hba": [
                    "local all all trust",
                    "host all all all scram-sha-256",
                    "host replication all all scram-sha-256",
                ],
                "parameters": {"unix_socket_directories": str(self.home)},
                "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            },
        }

    def start(self) -> None:
        # Not from this folder: Python would look for Patroni's modules here first.
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=self._log, start_new_session=True, cwd="/"
        )

    def senders(self) -> list[int]:
        """The processes that send its WAL to others."""
        found = processes.family(self.database() or 0)
        return [pid for pid in found if b"walsender" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def database(self) -> int | None:
        """The process of its PostgreSQL."""
        with suppress(FileNotFoundError, IndexError, ValueError):
            return int((self.home / "data" / "postmaster.pid").read_text().splitlines()[0])
        return None

    def _all(self) -> list[int]:
        """Patroni, and PostgreSQL, which is in a session of its own and may have outlived a former Patroni."""
        pids = processes.family(self._process.pid) if self._process is not None else []
        if (database := self.database()) is not None:
            pids += [pid for pid in processes.family(database) if pid not in pids]
        return pids

    def kill_database(self) -> None:
        if (pid := self.database()) is not None:
            processes.kill(pid)

    def kill(self) -> None:
        """SIGKILL to everything at once, as if the machine had lost its power."""
        processes.send(signal.SIGKILL, self._all())
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        self._frozen = self._all()
        processes.send(signal.SIGSTOP, self._frozen)

    def thaw(self) -> None:
        processes.thaw(self._frozen)

    def cut_off(self) -> None:
        self._machines.cut_off(self.number)

    def connect(self) -> None:
        self._machines.connect(self.number)

    def status(self) -> dict[str, Any]:
        """What its Patroni says; nothing if it doesn't."""
        with suppress(httpx.HTTPError, ValueError):
            answer = httpx.get(f"http://{self.host}:8008/patroni", timeout=1).json()
            return answer if isinstance(answer, dict) else {}
        return {}

    def close(self) -> None:
        self.kill()
        self._log.close()


class PatroniCluster:
    def __init__(self, home: Path, machines: Machines, etcd: str, nodes: int = 3) -> None:
        home.chmod(0o755)
        binaries = PostgresBinaries.locate().folder
        self.separate = machines.separate
        """Whether a node can be cut off."""
        self.nodes = [Node(number, home, machines, etcd, binaries) for number in range(nodes)]

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> "Iterator[PatroniCluster]":
        etcd = counterpart("etcd", "etcd isn't there: install Debian's etcd-server")
        try:
            import patroni  # noqa: F401 - asked for by name below
        except ImportError:
            missing("Patroni isn't there: install requirements-dev.txt")
        with Machines(3) as machines, _etcd(etcd, folder, machines.address) as address:
            cluster = cls(folder, machines, address)
            try:
                cluster.start()
                yield cluster
            finally:
                for node in cluster.nodes:
                    node.close()

    def start(self) -> None:
        """The node that is first makes the cluster, and the others copy it, both at the same time."""
        for node in self.nodes:
            node.start()
        self.whole()

    def url(self, database: str = "postgres") -> str:
        """Leads to whichever server takes writes."""
        hosts = ",".join(f"{node.host}:5432" for node in self.nodes)
        return f"postgresql://postgres:{PASSWORD}@{hosts}/{database}?target_session_attrs=read-write"

    def leader(self) -> Node | None:
        """The node that takes writes, by its own word."""
        for node in self.nodes:
            status = node.status()
            if status.get("role") == "primary" and status.get("state") == "running":
                return node
        return None

    def members(self) -> dict[str, dict[str, Any]]:
        for node in self.nodes:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                answer = httpx.get(f"http://{node.host}:8008/cluster", timeout=1).json()
                return {member["name"]: member for member in answer["members"]}
        return {}

    def whole(self) -> Node:
        """Return the leader once the cluster has one, a synchronous standby, and all others follow."""

        def whole() -> bool:
            # Each time: a node may say for a moment what the settings were before they were changed.
            synchronous = self.settings().get("synchronous_mode", True)
            found = sorted(
                (member["role"], member["state"], member.get("lag", 0)) for member in self.members().values()
            )
            roles = [role for role, _, _ in found]
            return (
                len(found) == len(self.nodes)
                and roles.count("leader") == 1
                and (not synchronous or "sync_standby" in roles)
                and all(state == ("running" if role == "leader" else "streaming") for role, state, _ in found)
                and self.leader() is not None
            )

        self._until(whole, "a whole cluster")
        leader = self.leader()
        assert leader is not None
        return leader

    def settings(self) -> dict[str, Any]:
        for node in self.nodes:
            with suppress(httpx.HTTPError, ValueError):
                answer = httpx.get(f"http://{node.host}:8008/config", timeout=1)
                if answer.status_code == 200:
                    return dict(answer.json())
        return {}

    def change_settings(self, **settings: Any) -> None:
        leader = self.whole()
        httpx.patch(f"http://{leader.host}:8008/config", json=settings, timeout=5).raise_for_status()

    def switch_over(self) -> None:
        """Ask the leader to hand over to its synchronous standby."""
        leader = self.whole()
        candidates = [name for name, member in self.members().items() if member["role"] != "leader"]
        synchronous = [name for name, member in self.members().items() if member["role"] == "sync_standby"]
        order = {"leader": leader.name, "candidate": (synchronous or candidates)[0]}
        answer = httpx.post(f"http://{leader.host}:8008/switchover", json=order, timeout=30)
        assert answer.status_code == 200, answer.text

    def takes_writes(self) -> bool:
        """Whether a client that names all nodes gets a connection that can write."""
        with suppress(psycopg.Error), psycopg.connect(self.url(), autocommit=True, connect_timeout=1) as connection:
            connection.execute("SELECT pg_is_in_recovery()")
            return True
        return False

    def _until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, f"there is not {what} within {WITHIN} s: {self.members()}"
            time.sleep(0.1)


@contextmanager
def _etcd(program: Path, folder: Path, host: str) -> Iterator[str]:
    client, peer = f"{host}:2379", f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [program, "--data-dir", folder / "etcd", "--name", "etcd"]
    command += ["--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}"]
    command += ["--listen-peer-urls", f"http://{peer}", "--initial-advertise-peer-urls", f"http://{peer}"]
    command += ["--initial-cluster", f"etcd=http://{peer}", "--logger", "zap"]
    with (folder / "etcd.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                with suppress(httpx.HTTPError):
                    if httpx.get(f"http://{client}/health", timeout=1).json().get("health") == "true":
                        break
                assert process.poll() is None, (folder / "etcd.log").read_text()
                assert time.monotonic() < deadline, "etcd did not start"
                time.sleep(0.05)
            yield client
        finally:
            process.kill()
