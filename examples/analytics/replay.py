"""The log as Parquet files, by way of the service's own command."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = Path(sys.executable).with_name("preferences")


def replay(folder: Path, environment: Mapping[str, str]) -> None:
    """Bring the folder up to date: what is there already isn't written again. Raises OSError."""
    command: list[str | Path] = [COMMAND, "replay", "--to", "parquet", "--output", folder]
    # What it says on standard output is no part of our answers.
    if subprocess.run(command, env=environment, stdout=sys.stderr).returncode:  # noqa: S603 - our own command
        raise OSError("`preferences replay` failed")
