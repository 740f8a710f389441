"""PATCH with a log that is full already, against an empty one."""

from bench.contender import OURS_ALONE
from bench.goals import Figure
from bench.pair import compare
from bench.stage import Stage
from bench.users import numbered

NAME = "stored"


def measure(stage: Stage) -> list[Figure]:
    size = stage.size
    # Spread over all those stored, so that their rows lie on pages far apart.
    step = size.stored_users // size.users
    users = stage.make_users([numbered(number * step) for number in range(size.users)])
    with (
        stage.log(size.stored_users, size.stored_events) as url,
        stage.trial(OURS_ALONE, url, users=users) as full,
        stage.trial(OURS_ALONE, users=users) as empty,
    ):
        rates = compare(stage, full, empty)
    detail = (
        f"{rates.first:,.0f}/s with {size.stored_users * size.stored_events:,} events of "
        f"{size.stored_users:,} users, {rates.second:,.0f}/s with none, 32 connections"
    )
    return [Figure("stored.rate", rates.ratio, detail)]
