"""A reader that follows a log by position, as every projection does: what it passes over it never sees."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import psycopg

PAUSE = 0.002
"""Seconds between two looks at a log that has nothing new."""


class TailingReader:
    """Reads in a thread of its own, on a connection of its own, from `with` until all is read at its end."""

    def __init__(self, url: str, table: str = "preferences_events") -> None:
        self._url = url
        self._query = (
            f"SELECT notification_id FROM {table} WHERE notification_id > %s ORDER BY notification_id LIMIT 500"
        )
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._following: Future[None]
        self.seen: list[int] = []

    def __enter__(self) -> Self:
        self._following = self._thread.submit(self._follow)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.shutdown()
        self._following.result()

    def wait_for(self, position: int) -> None:
        """Return once this position was read; TimeoutError after ten seconds."""
        deadline = time.monotonic() + 10
        while not self.seen or self.seen[-1] < position:
            if time.monotonic() > deadline:
                raise TimeoutError(f"position {position} was never read")
            time.sleep(PAUSE)

    def _follow(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            last = 0
            while True:
                ending = self._stop.is_set()
                # Planned anew each time: a plan made for the empty table would scan the whole of the grown one.
                rows = connection.execute(self._query, [last], prepare=False).fetchall()
                self.seen.extend(position for (position,) in rows)
                if rows:
                    last = rows[-1][0]
                elif ending:
                    return
                else:
                    time.sleep(PAUSE)
