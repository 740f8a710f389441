"""The size of a run: full, for figures that count, or quick, to see that everything works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`seconds` is the length of a run; a `warm_up` of 0 is none."""

    rounds: int
    seconds: float
    warm_up: int
    connections: tuple[int, ...]
    users: int
    """With a token each; they take turns."""
    stored_users: int
    stored_events: int
    """Of each of the stored users, in the log that PATCH is measured with."""
    long_stream: int
    """Events of the one user who has many."""
    rebuilt_users: int
    rebuilt_events: int
    """Of each of them."""
    relayed_users: int
    audit_events: int
    audit_pages: int
    """Of each filter."""
    memory_users: int
    memory_requests: int

    def at_least(self, other: "Size") -> bool:
        """Whether rounds and runs are as many and as long."""
        return self.rounds >= other.rounds and self.seconds >= other.seconds and self.users >= other.users


FULL = Size(
    rounds=7,
    seconds=5,
    warm_up=1,
    connections=(1, 32, 256),
    users=2000,
    stored_users=1_000_000,
    stored_events=10,
    long_stream=100_000,
    rebuilt_users=200_000,
    rebuilt_events=5,
    relayed_users=10_000,
    audit_events=10_000_000,
    audit_pages=1000,
    memory_users=100_000,
    memory_requests=1_000_000,
)

QUICK = Size(
    rounds=1,
    seconds=0.5,
    warm_up=0,
    connections=(32,),
    users=500,
    stored_users=2000,
    stored_events=2,
    long_stream=500,
    rebuilt_users=1000,
    rebuilt_events=5,
    relayed_users=1000,
    audit_events=10_000,
    audit_pages=10,
    memory_users=500,
    memory_requests=1000,
)
