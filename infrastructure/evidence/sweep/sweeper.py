"""Taking the steps of the sweep, at their pace, or all of them at once."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from operator import itemgetter
from typing import Final

from application.evidence.sweep import REST, STEP
from infrastructure.evidence.sweep.journal import Journal, say
from infrastructure.evidence.sweep.leg import Connection, Leg, sweeping

LONGEST_PAUSE: Final = 60.0
"""Seconds after which it is looked again at what is due."""

KEPT: Final = 1.0
"""Seconds for which a connection is kept from one step to the next."""


class Sweeper:
    """`within`: seconds that a pass may take. Any number of these may be at work: for each leg, one takes the steps at a time."""

    def __init__(self, url: str, legs: Sequence[Leg], within: float) -> None:
        self._url = url
        self._legs = legs
        self._within = timedelta(seconds=within)
        self._kept = ExitStack()
        self._connection: Connection | None = None

    def step(self) -> float:
        """Take the step that is due first, if one is. Seconds until the next one."""
        try:
            pause = self._step()
        except BaseException:
            self.close()
            raise
        if pause > KEPT:
            self.close()
        return pause

    def close(self) -> None:
        """Let go of the connection."""
        self._connection = None
        self._kept.close()

    def _step(self) -> float:
        if self._connection is None:
            self._connection = self._kept.enter_context(sweeping(self._url))
        journal = Journal(self._connection)
        waits = [(journal.state_of(leg.name).due_in(self._within), leg) for leg in self._legs]
        wait, leg = min(waits, key=itemgetter(0))
        if wait > 0:
            return min(wait, LONGEST_PAUSE)
        if not journal.lead(leg.name):
            return KEPT  # Another process is in the middle of a step of it.
        began = time.monotonic()
        take(self._connection, leg, STEP)
        journal.let_go(leg.name)
        return (time.monotonic() - began) * REST


def take(connection: Connection, leg: Leg, limit: int, *, anew: bool = False) -> bool:
    """One step, and what came of it, in one transaction. Whether the pass goes on. `anew`: a new pass is begun in any case."""
    with leg.ready() as look:
        with connection.transaction():
            leg.hold(connection)
            journal = Journal(connection)
            leg_state = journal.state_of(leg.name)
            number, state = leg_state.status.number, leg_state.state
            if anew or leg_state.begun_in_future or leg_state.status.complete:
                number, state = journal.begin_pass(leg.name), None
            result = look(connection, state, limit)
            new, mended = journal.note(leg.name, number, result)
        say(new, mended)
    return result.state is not None


def sweep_at_once(url: str, leg: Leg) -> None:
    """A whole pass of a leg, without a rest. Others take no step of it meanwhile."""
    with sweeping(url) as connection:
        while not Journal(connection).lead(leg.name):
            time.sleep(KEPT / 10)
        more = take(connection, leg, leg.at_once, anew=True)
        while more:
            more = take(connection, leg, leg.at_once)
