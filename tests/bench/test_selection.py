"""Which parts of the benchmark run."""

import subprocess
import sys
from pathlib import Path

from tests.support.counterparts import counterpart


def test_a_part_that_does_not_exist_is_named_and_nothing_is_measured() -> None:
    counterpart("wrk", "wrk isn't there: `apt-get install wrk`")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", "rebild"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "--only rebild: there is no such part" in done.stdout
    assert "written after" not in done.stdout
