"""What the processes of this server use: time, memory and files. Read from /proc, so that any worker can report on all of them."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from api.http import worker_places

_FOLLOW: Final = b"\0follow\0--beside\0"
"""How the arguments of the followers' process end, where `serve` has started it."""

_PROC: Final = Path("/proc")


def collect() -> Iterable[Metric]:
    """The metrics that Prometheus' own libraries have for a process, with one label more: which process of this server it is."""
    families: dict[str, Metric] = {}
    for name, process in _processes():
        for found in ProcessCollector(pid=partial(int, process), registry=None).collect():
            if found.name not in families:
                kind = CounterMetricFamily if found.type == "counter" else GaugeMetricFamily
                families[found.name] = kind(found.name, found.documentation, labels=["process"])
            for sample in found.samples:
                families[found.name].add_sample(sample.name, {"process": name}, sample.value)
    return families.values()


def _processes() -> Iterator[tuple[str, int]]:
    """`worker-0` is the only process of a server with one worker, apart from its followers."""
    folder, master = os.environ.get("PROMETHEUS_MULTIPROC_DIR"), multiprocessing.parent_process()
    if folder is None or master is None or master.pid is None:
        first = os.getpid()
        yield "worker-0", first
    else:
        first = master.pid
        yield "master", first
        with suppress(OSError):
            for place, process in worker_places.processes(Path(folder)).items():
                yield f"worker-{place}", process
    for child in _children(first):
        if _arguments(child).endswith(_FOLLOW):
            yield "follow", child


def _children(process: int) -> Iterator[int]:
    """The kernel lists them by the thread that started them. A process that may open no more files finds none."""
    try:
        lists = [*_PROC.glob(f"{process}/task/*/children")]
    except OSError:
        return
    for listed in lists:
        try:
            yield from map(int, listed.read_text().split())
        except OSError:
            continue  # The thread has just ended.


def _arguments(process: int) -> bytes:
    try:
        return (_PROC / str(process) / "cmdline").read_bytes()
    except OSError:
        return b""
