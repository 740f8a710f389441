"""Relays as processes, for tests that kill or freeze them."""

import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.support import processes
from tests.support.command import Command


class Relays:
    """Processes of `preferences relay`, of which one leads; or of relays as one would naively write them."""

    def __init__(
        self, folder: Path, database_url: str, broker_urls: list[str], *, naive: bool = False, **settings: object
    ) -> None:
        self._log = (folder / "relays.log").open("a+b")
        self._command = Command(folder / "data", database_url)
        self._settings = {"nats_url": ",".join(broker_urls), **settings}
        self._naive = [sys.executable, "-m", "tests.support.naive_relay", database_url, *broker_urls] if naive else []
        self._database_url = database_url
        self.processes: list[subprocess.Popen[bytes]] = []
        self.revived = 0

    def start(self) -> int:
        if self._naive:
            process = subprocess.Popen(self._naive, stdout=self._log, stderr=self._log, start_new_session=True)
        else:
            process = self._command.run_beside(self._log, "relay", **self._settings)
        self.processes.append(process)
        return process.pid

    def revive(self) -> None:
        """Start again who has ended, as a supervisor does: a relay that is started while the database is away says so, and ends.

        Whoever ended for another reason, or without saying why, fails the test.
        """
        for process in [*self.processes]:
            if process.poll() is not None:
                assert process.returncode == 1, f"a relay ended with {process.returncode}"
                self.processes.remove(process)
                self.revived += 1
                self.start()

    def leader(self) -> int | None:
        """Which one leads, by the database's own process for it."""
        query = """
            SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'preferences follower relay'
        """
        with psycopg.connect(self._database_url) as connection:
            return next((backend for (backend,) in connection.execute(query)), None)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        processes.kill(process.pid)
        process.wait()
        self.processes.remove(process)

    def close(self) -> str:
        """Kill all; what they said."""
        for process in [*self.processes]:
            processes.send(signal.SIGCONT, [process.pid])
            self.kill(process)
        self._log.seek(0)
        said = self._log.read().decode()
        self._log.close()
        return said
