"""The room that an event takes in the database, after real requests."""

import psycopg

from bench.contender import OURS
from bench.goals import Figure
from bench.pair import CONNECTIONS
from bench.stage import Stage

NAME = "disk"

SIZE = """
SELECT pg_total_relation_size('preferences_events')::float8 / count(*), count(*),
       pg_relation_size('preferences_events')::float8 / count(*), avg(octet_length(state) + octet_length(sealed_actor))::float8
FROM preferences_events
"""


def measure(stage: Stage) -> list[Figure]:
    with stage.trial(OURS) as trial:
        trial.run("PATCH", CONNECTIONS, stage.size.seconds * stage.size.rounds).counted()
        with psycopg.connect(trial.url) as connection:
            total, count, table, state = connection.execute(SIZE).fetchall()[0]
    detail = f"{table:.0f} in the table, of which {state:.0f} are the event itself, {total - table:.0f} in indexes"
    return [Figure("disk.bytes", total, f"{detail}; {count:,} events")]
