"""Machines of a cluster, each with an address of its own. Those that are network namespaces can be cut off from all others."""

import functools
import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from infrastructure.embedded.postgres.account import ServerAccount

_NUMBERS = itertools.count(os.getpid() % 250)
_READ_ALL = ("dac_read_search", "dac_override")
"""Capabilities with which an account reaches Python wherever it is, for instance in root's home. PostgreSQL only refuses to be root."""


class Machines:
    """Root makes a namespace for each machine, on a switch in one of its own. Otherwise each is a loopback address, and can't be cut off."""

    def __init__(self, count: int) -> None:
        self.account = ServerAccount.current() if os.geteuid() else ServerAccount.unprivileged()
        number = next(_NUMBERS) % 250
        self._tag = f"pm{os.getpid() % 100_000}-{number}"
        # 198.18.0.0/15 is for tests of networks.
        self.separate = can_be_separate()
        net = f"198.18.{number}" if self.separate else f"127.18.{number}"
        self.address = f"{net}.1"
        """Of the test itself."""
        self.addresses = [f"{net}.{machine + 2}" for machine in range(count)]
        self._made = ExitStack()

    def __enter__(self) -> Self:
        if self.separate:
            try:
                self._connect()
            except BaseException:
                self._made.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def _connect(self) -> None:
        switch = self._namespace("s")
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        ours = f"{self._tag}r"[-15:]
        _ip("link", "add", ours, "type", "veth", "peer", "name", "test", "netns", switch)
        self._made.callback(subprocess.run, ["ip", "link", "del", ours], check=False, capture_output=True)
        _ip("-n", switch, "link", "set", "test", "master", "br0", "up")
        _ip("address", "add", f"{self.address}/24", "dev", ours)
        _ip("link", "set", ours, "up")
        for machine, address in enumerate(self.addresses):
            name = self._namespace(str(machine))
            _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"m{machine}", "netns", switch)
            _ip("-n", switch, "link", "set", f"m{machine}", "master", "br0", "up")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def _namespace(self, part: str) -> str:
        name = f"{self._tag}{part}"
        _ip("netns", "add", name)
        self._made.callback(subprocess.run, ["ip", "netns", "del", name], check=False, capture_output=True)
        return name

    def command(self, machine: int, command: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs another one on a machine, as the account."""
        if not self.account.is_another:
            return [*command]
        allowed = next((name for name in _READ_ALL if _has(name)), None)
        capabilities = [f"--inh-caps=+{allowed}", f"--ambient-caps=+{allowed}"] if allowed else []
        as_account = ["setpriv", f"--reuid={self.account.uid}", f"--regid={self.account.gid}", "--clear-groups"]
        there = ["ip", "netns", "exec", f"{self._tag}{machine}"] if self.separate else []
        return [*there, *as_account, *capabilities, *command]

    def cut_off(self, machine: int) -> None:
        """From now on nothing reaches the machine, and nothing comes from it. Connections stay open on both sides, and hear nothing."""
        _ip("-n", f"{self._tag}s", "link", "set", f"m{machine}", "down")

    def connect(self, machine: int) -> None:
        _ip("-n", f"{self._tag}s", "link", "set", f"m{machine}", "up")


@functools.cache
def can_be_separate() -> bool:
    """Whether this machine lets its tests make networks. Root in a container may not."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"pm{os.getpid() % 100_000}-try"
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "br0", "type", "bridge")
        _ip("-n", name, "link", "add", "here", "type", "veth", "peer", "name", "there")
    except AssertionError:
        return False
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return True


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _has(capability: str) -> bool:
    return (
        subprocess.run(
            ["setpriv", f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "true"],
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )
