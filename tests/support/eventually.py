"""What comes about by itself, in another process, and has no event of ours to set."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return once the condition holds; fail if it doesn't within so many seconds, also on a busy machine."""
    began = looked = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < began + seconds, f"not within {seconds} s"
        # After a look that is work, a request for instance, the processor is left to what it waits for. What is looked for may pass soon.
        time.sleep(min(0.05, max(0.01, now - looked)))
        looked = time.monotonic()
