"""The memory of a server that has served many users."""

from bench.contender import OURS
from bench.goals import Figure
from bench.pair import CONNECTIONS
from bench.stage import Stage
from bench.users import numbered

NAME = "memory"
AT_A_TIME = 20
"""Seconds of load between two looks at how many requests there were."""


def measure(stage: Stage) -> list[Figure]:
    size = stage.size
    users = stage.make_users([numbered(number) for number in range(size.memory_users)])
    served = 0
    with stage.trial(OURS, users=users) as trial:
        before, _ = trial.server.resident
        while served < size.memory_requests:
            seconds = AT_A_TIME if size.warm_up else size.seconds
            served += trial.run("MIXED", CONNECTIONS, seconds).counted().answers.answered
        now, most = trial.server.resident
    detail = (
        f"at most; {now / 1e6:.0f} MB at the end, {before / 1e6:.0f} MB at the start; {served:,} requests "
        f"of {len(users):,} users, every fourth a PATCH"
    )
    return [Figure("memory.megabytes", most / 1e6, detail)]
