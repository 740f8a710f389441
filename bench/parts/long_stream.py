"""PATCH of a user with a long history, against one whose history begins."""

from bench.contender import OURS
from bench.figure import Figure
from bench.pair import compare
from bench.stage import Stage
from bench.stored_log import fill_one
from bench.users import numbered
from infrastructure import migrations

NAME = "stream"


def measure(stage: Stage) -> list[Figure]:
    user = numbered(0)
    # One user's changes have an order, so they are sent over one connection, each after the answer to the one before.
    users = stage.make_users("stream", [user])
    with stage.database("stream_long") as long, stage.database("stream_short") as short:
        for url, events in ((long, stage.size.long_stream), (short, 1)):
            migrations.migrate(url)
            fill_one(url, user, events)
        with stage.trial(OURS, long, users=users) as old, stage.trial(OURS, short, users=users) as new:
            rates = compare(stage, old, new, connections=1)
    detail = f"{rates.first:,.0f}/s from {stage.size.long_stream:,} events on, {rates.second:,.0f}/s from 1 on"
    return [Figure("stream.rate", rates.ratio, f"{detail}, one connection")]
