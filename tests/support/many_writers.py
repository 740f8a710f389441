"""Writers who change the preferences of a few users through two server processes, as fast as they can."""

import asyncio
import random
import signal
from itertools import chain
from uuid import UUID

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from tests.support import processes
from tests.support.folded_log import Answered
from tests.support.keep_alive import KeepAlive
from tests.support.server import Server
from tests.support.tokens import bearer

WRITERS, USERS = 16, 10
TOGGLES = [toggle.name for toggle in CATALOGUE.channels[0].visible]


async def write_everywhere(server: Server, changes: int) -> list[list[list[Answered]]]:
    """All writers at once; what was answered, by worker process and writer."""
    users = {stream_id("org_math", f"user_{n}"): bearer(f"user_{n}") for n in range(USERS)}
    connections = await connections_to_each_worker(server, WRITERS // 2)
    writing = [[write(connection, users, changes // WRITERS) for connection in some] for some in connections]
    try:
        return await asyncio.gather(*(asyncio.gather(*some) for some in writing))
    finally:
        for connection in chain.from_iterable(connections):
            connection.close()


async def connections_to_each_worker(server: Server, number: int) -> list[list[KeepAlive]]:
    """Connections that are spread evenly: whoever accepts one keeps it, so all but one worker are frozen meanwhile."""
    workers = processes.workers(server.process.pid)
    assert len(workers) == 2
    connections: list[list[KeepAlive]] = []
    for worker in workers:
        connections.append([])
        others = [other for other in workers if other != worker]
        processes.send(signal.SIGSTOP, others)
        try:
            for connection in (KeepAlive(server.url) for _ in range(number)):
                async with asyncio.timeout(30):  # the second one may still be starting
                    assert (await connection.get(path="/healthz")).status == 200
                connections[-1].append(connection)
        finally:
            processes.thaw(others)
    return connections


async def write(connection: KeepAlive, users: dict[UUID, dict[str, str]], changes: int) -> list[Answered]:
    """Change something of somebody, and look at somebody now and then; what was answered, in its order."""
    streams, told = list(users), []
    for number in range(changes):
        stream = random.choice(streams)
        wanted = {name: random.random() < 0.5 for name in random.sample(TOGGLES, random.randint(1, len(TOGGLES)))}
        reply = await connection.patch(users[stream], {"email": wanted})
        assert reply.status == 200, reply
        requested = {f"email.{name}": enabled for name, enabled in wanted.items()}
        told.append(Answered(stream, reply.request_id, reply.preferences, requested))
        if number % 10 == 0:
            stream = random.choice(streams)
            reply = await connection.get(users[stream])
            assert reply.status == 200, reply
            told.append(Answered(stream, reply.request_id, reply.preferences, {}))
    return told
