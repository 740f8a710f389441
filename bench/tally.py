"""Checks that the database has recorded what the contender has acknowledged.

A load stops while requests are on their way. Each of those may have been recorded or not, and got no answer. So it
is not enough to compare two numbers, and these sentences must all be true, or the run is void:

- No answer was refused, no connection broke.
- What was sent and not acknowledged was on its way: at most one request for each connection.
- There are at least as many events as acknowledged changes (nothing is lost) and at most as many as were sent
  (nothing is doubled).
- Every change that was sent is an event, or else its user's recorded choice is still the one before: the events and
  the users who don't stand at the last choice sent for them together are as many as the changes sent. This is exact,
  since every change flips its user's choice, and no user's turn comes again while a request of theirs is on its way.
- The current preferences of every changed user are what the last event of their stream says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Tally:
    """`events` is None where a contender has no log; `astray` are the users who don't stand at the last choice sent,
    `inconsistent` those whose current preferences aren't what their last event says."""

    connections: int
    sent: int
    acknowledged: int
    failed: int
    events: int | None
    astray: int
    inconsistent: int = 0

    @property
    def faults(self) -> list[str]:
        """Why the run is void; empty if it counts."""
        found = []
        on_their_way = self.sent - self.acknowledged
        if self.inconsistent:
            found.append(f"{self.inconsistent} users whose preferences aren't what their last event says")
        if self.failed:
            found.append(f"{self.failed} requests failed")
        if not 0 <= on_their_way <= self.connections:
            found.append(f"{on_their_way} requests on their way over {self.connections} connections")
        if self.events is None:
            if self.astray > on_their_way:
                found.append(f"{self.astray} users astray, {on_their_way} requests on their way")
            return found
        if not self.acknowledged <= self.events <= self.sent:
            found.append(f"{self.events} events of {self.acknowledged} acknowledged and {self.sent} sent changes")
        if self.events + self.astray != self.sent:
            found.append(f"{self.events} events and {self.astray} users astray, {self.sent} changes sent")
        return found


def last_sent(before: Sequence[bool], sent: int, first: int = 0) -> list[bool]:
    """What each user should have chosen at the end, when `sent` changes went around among them."""
    after = list(before)
    size = len(after)
    rounds, rest = divmod(sent, size)
    for turn in range(size):
        user = (first + turn) % size
        if (rounds + (turn < rest)) % 2:
            after[user] = not after[user]
    return after


def overlooked(good: Tally) -> list[str]:
    """Which of these wrong counts a tally would not notice, given one that counts. Must be none."""
    assert good.events is not None
    wrong = {
        "a lost event": replace(good, events=good.acknowledged - 1),
        "a lost event whose choice was lost with it": replace(
            good, events=good.acknowledged - 1, astray=good.sent - good.acknowledged + 1
        ),
        "a doubled event": replace(good, events=good.events + 1),
        "a choice that went astray": replace(good, astray=good.astray + 1),
        "a refused request": replace(good, failed=1),
        "preferences that differ from the log": replace(good, inconsistent=1),
        "more on their way than connections": replace(good, sent=good.acknowledged + good.connections + 1),
    }
    return [name for name, tally in wrong.items() if not tally.faults]
