"""The goals, as data, in the order in which the report shows them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A measured value, under the name that its goal has. `detail` says in a few words what the value was made of. `judged`: whether
    this machine can show if the goal is reached."""

    name: str
    value: float
    detail: str
    judged: bool = True


@dataclass(frozen=True)
class Goal:
    """`figure`: `load.quantity/contender` is a ratio of ours to theirs at the same load, `load.quantity/contender.load` at another one."""

    figure: str
    title: str
    direction: Literal["≥", "≤"]
    limit: float
    unit: str = "×"  # noqa: RUF001 - a multiplication sign is what is meant

    def reached_by(self, value: float) -> bool:
        return value >= self.limit if self.direction == "≥" else value <= self.limit


GOALS = (
    Goal("patch.32.rate/crud", "PATCH/s at 32 connections, against crud", "≥", 4.5),
    Goal("patch.32.rate/node", "PATCH/s at 32 connections, against node", "≥", 1.1),
    Goal("patch.32.rate/textbook", "PATCH/s at 32 connections, against textbook", "≥", 11),
    Goal("get.32.rate/crud", "GET/s at 32 connections, against crud", "≥", 8),
    Goal("get.32.rate/node", "GET/s at 32 connections, against node", "≥", 1.7),
    Goal("patch.32.p99/crud", "p99 of PATCH at 32 connections, against crud", "≤", 0.6),
    Goal("get.32.p99/crud", "p99 of GET at 32 connections, against crud", "≤", 0.3),
    Goal("patch.1.p50/crud", "p50 of PATCH, one connection alone, against crud", "≤", 0.9),
    Goal("get.1.p50/crud", "p50 of GET, one connection alone, against crud", "≤", 0.45),
    Goal("patch.256.rate/ours.patch.32", "PATCH/s at 256 connections, against 32", "≥", 1),
    Goal("patch.256.p99/crud", "p99 of PATCH at 256 connections, against crud", "≤", 0.5),
    Goal("patch.32.processor/crud", "processor time of a PATCH, all processes, against crud", "≤", 0.5),
    Goal("index.processor", "processor time of the audit index at full load", "≤", 12, "µs an event"),
    Goal("index.behind", "audit index behind the log at full load, at most", "≤", 1, "s"),
    Goal("workers.lost", "users whose state isn't what the log says, after 2 workers", "≤", 0, "users"),
    Goal("workers.rate", "PATCH/s of 2 workers against 1, users spread over both", "≥", 1.3),
    Goal("cross_origin.get", "GET/s of a page of another origin, against requests without Origin", "≥", 0.95),
    Goal("cross_origin.patch", "PATCH/s of a page of another origin, against requests without Origin", "≥", 0.95),
    Goal("stored.rate", "PATCH/s with a full log, against an empty one", "≥", 0.9),
    Goal("partitions.patch", "PATCH/s with a log in partitions, against one table", "≥", 0.95),
    Goal("partitions.feed", "pages of the feed of a log in partitions, a second, against one table", "≥", 0.9),
    Goal(
        "partitions.audit",
        "pages of the audit log with a log in partitions, a second, against one table",
        "≥",
        0.9,
    ),
    Goal("stream.rate", "PATCH/s of a user with many events, against one with one", "≥", 0.9),
    Goal("rebuild.seconds", "rebuild of the log", "≤", 4, "s"),
    Goal("rebuild.memory", "memory of a rebuild and of PostgreSQL for it, with four times the events", "≤", 1.1),
    Goal("follow.rate", "following the log from position 0", "≥", 100_000, "events/s"),
    Goal("feed.rate", "the feed as lines from position 0", "≥", 50_000, "events/s"),
    Goal("feed.memory", "memory of a server that hands out all of the log, against a quarter", "≤", 1.05),
    Goal("feed.p99", "p99 from acknowledged PATCH to a reader of the stream, at half load", "≤", 100, "ms"),
    Goal("audit.rate", "verifying the log against its checkpoints", "≥", 200_000, "events/s"),
    Goal("audit.patch", "PATCH/s with checkpoints, against without", "≥", 0.95),
    Goal("sweep.rate", "holding all that there is against the log, at once", "≥", 200_000, "events/s"),
    Goal("sweep.patch", "PATCH/s with the sweep at its default speed, against without", "≥", 0.98),
    Goal("sweep.get", "GET/s with the sweep at its default speed, against without", "≥", 0.98),
    Goal("replica.p99", "p99 of PATCH while a standby is read from end to end, against nothing beside it", "≤", 1.2),
    Goal("relay.rate", "handing on to NATS, against a bare nats-py publisher", "≥", 0.7),
    Goal("relay.p99", "p99 from acknowledged PATCH to a JetStream consumer, at half load", "≤", 100, "ms"),
    Goal("audit_log.p99", "a page of the audit log in the database, p99 of the slowest filter", "≤", 10, "ms"),
    Goal("audit_log.growth", "p99 of the slowest filter with ten times the events", "≤", 1.3),
    Goal("audit_summary.p99", "opt-ins and opt-outs of a year by day, in the database", "≤", 50, "ms"),
    Goal("decisions.rate", "decisions about users, ten thousand at once", "≥", 100_000, "users/s"),
    Goal("decisions.p50", "p50 of a decision about one user, against that user's GET", "≤", 1),
    Goal("unsubscribe.rate", "unsubscribe links made, on one core", "≥", 50_000, "links/s"),
    Goal("memory.megabytes", "memory of a server after many requests of many users", "≤", 150, "MB"),
    Goal("nuisances.memory", "memory for a crowd of clients that are only in the way", "≤", 20, "MB"),
    Goal("nuisances.p99", "p99 of other clients beside them, against without", "≤", 2),
    Goal("nuisances.late", "how long one of their connections stays beyond its limit, at most", "≤", 2, "s"),
    Goal("disk.bytes", "disk for an event, with all indexes", "≤", 600, "bytes"),
)
