import os
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.embedded.process_end import wait_until_exited
from tests.support import processes
from tests.support.eventually import until

LINGERS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).unlink(); time.sleep(0.5)"
"""As a database server does, in small: it gives up its file, and is there a while longer."""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock"
    path.touch()
    return path


def test_the_process_is_gone_and_not_only_its_file(lock):
    with subprocess.Popen([sys.executable, "-c", LINGERS, lock]) as process:
        with wait_until_exited(process.pid):
            until(lambda: not lock.exists())
            assert processes.lives(process.pid), "it would have been gone without waiting"
        assert not processes.lives(process.pid)


@pytest.mark.parametrize("forbidden", [AttributeError, PermissionError])
def test_nobody_waits_where_the_system_cannot_tell(lock, monkeypatch, forbidden):
    def refuse(pid: int) -> int:
        raise forbidden

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with subprocess.Popen([sys.executable, "-c", LINGERS, lock]) as process:
        with wait_until_exited(process.pid):
            until(lambda: not lock.exists())
        assert processes.lives(process.pid)


@pytest.mark.parametrize("pid", [0, 2**31 - 1])
def test_a_process_that_is_not_there_is_gone(pid):
    with wait_until_exited(pid):
        pass
