"""What comes about by itself, in another process, and has no event of ours to set."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return once the condition holds; fail if it doesn't within so many seconds, also on a busy machine."""
    began = looked = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < began + seconds, f"not within {seconds} s"
        # A look that is work, a request for instance, leaves the processor to what it waits for.
        time.sleep(max(0.01, 2 * (now - looked)))
        looked = time.monotonic()
