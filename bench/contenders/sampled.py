"""The service itself, watched: which function is at work is noted every few milliseconds of processor time.

Not a contender: `--profile` starts it. A profiler that hooks each call would make small functions look dear; samples cost
each function the same. What runs inside C is counted for the Python function that called it.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from api.command_line import main

EVERY = 0.002
alone: Counter[str] = Counter()
within: Counter[str] = Counter()


def sample(_signal: int, frame: FrameType | None) -> None:
    place = _place(frame)
    alone[place] += 1
    seen = set()
    while frame is not None:
        seen.add(_place(frame))
        frame = frame.f_back
    within.update(seen)


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return "?"
    path = Path(frame.f_code.co_filename)
    return f"{'/'.join(path.parts[-2:])}:{frame.f_code.co_qualname}"


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, sample)
    # The start is not of interest: whoever watches says when.
    signal.signal(signal.SIGUSR1, lambda *_: signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY))
    sys.argv = ["preferences", "serve"]
    try:
        main()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        counts = {"alone": alone.most_common(40), "within": within.most_common(60)}
        Path(os.environ["BENCH_PROFILE"]).write_text(json.dumps(counts))
