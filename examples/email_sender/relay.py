"""The service's own relay, which comes with a broker for development: started beside us where no broker is configured."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = Path(sys.executable).with_name("preferences")


@contextmanager
def running_relay() -> Iterator[str]:
    """The address of its broker, which it prints. Raises OSError where it doesn't start."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "relay"], env={**os.environ, "LOG_LEVEL": "warning"}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            if found := re.search(r"nats://\S+", line):
                break
            said += line
        else:
            raise OSError(f"`preferences relay` didn't start: {said.strip()}")
        # All other lines are for the operator. If they were not read, the relay would one day wait until they are.
        threading.Thread(target=shutil.copyfileobj, args=(process.stderr, sys.stderr), daemon=True).start()
        yield found[0]
    finally:
        process.terminate()
        process.wait()
