"""The relay, and the broker that it hands events on to."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from api.bootstrap.databases import migrated_database
from infrastructure import logs
from infrastructure.embedded.nats_server import NatsServer, NatsServerError
from infrastructure.embedded.server_keeper import ServerKeeper
from infrastructure.followers.runner import FollowerRunner
from infrastructure.nats.broker_durability import durability
from infrastructure.nats.jetstream import BrokerUnavailable, EventStream
from infrastructure.nats.relay import Relay
from infrastructure.settings import Settings

REST: Final = 0.005
"""Seconds for which events may gather once all are handed on: one alone shouldn't have to wait for company."""

POLL: Final = 0.5
"""Seconds after which one that stands by tries to lead, and the leader looks whether it missed a notification."""

PATIENCE: Final = 5
"""Seconds that a transaction waits for the broker, which is given up before, or for a relay that is frozen."""

log = structlog.get_logger("relay")


@contextmanager
def running_broker(of: Settings) -> Iterator[Sequence[str]]:
    """The addresses of the broker's servers; where none is configured, of one that runs as long as the context."""
    if of.nats_url:
        yield of.nats_url
        return
    server = NatsServer(of.data_dir)
    with ServerKeeper("nats", server, NatsServerError):
        yield [server.url]


@contextmanager
def relaying(of: Settings) -> Iterator[tuple[str, Sequence[str]]]:
    """The database's URL and the broker's addresses, both there and ready."""
    logs.configure(of.log_level)
    with migrated_database(of, serving=True) as url, running_broker(of) as servers:
        yield url, servers


async def run_relay(of: Settings, url: str, servers: Sequence[str], stop: asyncio.Event) -> None:
    """Hand on until `stop` is set. A broker that is away is waited for; a stream that can't be used is said at once."""
    credentials = str(of.nats_credentials) if of.nats_credentials else None
    stream = EventStream(
        servers,
        of.nats_stream,
        replicas=of.nats_replicas,
        max_bytes=of.nats_max_bytes,
        credentials=credentials,
    )
    relay = Relay(stream)
    try:
        try:
            await stream.open()
        except BrokerUnavailable as error:
            log.warning("broker is away", reason=str(error))
        await _tell_durability(of)
        runner = FollowerRunner(url, relay, stands_at=relay.stands_at, poll=POLL, rest=REST, patience=PATIENCE)
        await runner.run(stop)
    finally:
        await relay.close()


async def _tell_durability(of: Settings) -> None:
    if of.nats_url and not of.nats_monitoring_url:
        log.warning(
            "it is unknown whether the broker syncs before it acknowledges",
            remedy="set NATS_MONITORING_URL to the monitoring addresses of its servers",
        )
    for server in await asyncio.gather(*(durability(address) for address in of.nats_monitoring_url)):
        if server.always:
            log.info("broker syncs before it acknowledges", server=server.server)
        elif server.always is None:
            log.warning("it is unknown whether the broker syncs", server=server.server, reason=server.reason)
        else:
            log.warning(
                "broker acknowledges before it syncs: what it acknowledged can be lost with its machine",
                server=server.server,
                remedy="sync_interval: always",
            )
