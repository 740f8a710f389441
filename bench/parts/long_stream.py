"""PATCH of a user with a long history, against one whose history begins."""

from contextlib import ExitStack

from bench.contender import OURS_ALONE
from bench.goals import Figure
from bench.pair import compare
from bench.stage import Stage
from bench.stored_log import fill_one
from bench.users import numbered
from infrastructure.postgres import migrations

NAME = "stream"


def measure(stage: Stage) -> list[Figure]:
    user = numbered(0)
    users = stage.make_users([user])
    trials = []
    with ExitStack() as stack:
        for events in (stage.size.long_stream, 1):
            url = stack.enter_context(stage.database())
            migrations.migrate(url)
            fill_one(url, user, events)
            trials.append(stack.enter_context(stage.trial(OURS_ALONE, url, users=users)))
        # One user's changes have an order, so they are sent over one connection, each after the answer to the one before.
        rates = compare(stage, *trials, connections=1)
    detail = f"{rates.first:,.0f}/s from {stage.size.long_stream:,} events on, {rates.second:,.0f}/s from 1 on"
    return [Figure("stream.rate", rates.ratio, f"{detail}, one connection")]
