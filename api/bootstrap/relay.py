"""Wires the relay, and the broker that it passes events to."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from api.bootstrap import tracing
from api.bootstrap.databases import migrated_database
from infrastructure import logs
from infrastructure.embedded.nats_server import NatsServer, NatsServerError
from infrastructure.embedded.server_keeper import ServerKeeper
from infrastructure.followers.runner import FollowerRunner
from infrastructure.nats.broker_connection import BrokerUnavailable
from infrastructure.nats.broker_durability import durability
from infrastructure.nats.jetstream import BrokerStream
from infrastructure.nats.relay import Relay
from infrastructure.settings import Settings

REST: Final = 0.005
"""Seconds for which the relay waits after it has passed on all events, so that new ones gather. It is short, because a single event
should not wait long."""

POLL: Final = 0.5
"""Seconds after which a standby tries to lead, and after which the leader checks for missed notifications."""

PATIENCE: Final = 5
"""Seconds that a transaction may wait for the broker or for a frozen relay. The relay gives up waiting for the broker earlier."""

log = structlog.get_logger("relay")


@contextmanager
def running_broker(settings: Settings) -> Iterator[Sequence[str]]:
    """The addresses of the broker's servers. If none is configured, a server of our own runs as long as the context."""
    if settings.nats_url:
        yield settings.nats_url
        return
    server = NatsServer(settings.data_dir)
    with ServerKeeper("nats", server, NatsServerError):
        yield [server.url]


@contextmanager
def relaying(settings: Settings) -> Iterator[tuple[str, Sequence[str]]]:
    """The database's URL and the broker's addresses. Inside the context, both are running."""
    logs.configure(settings.log_level)
    with migrated_database(settings, serving=True) as url, running_broker(settings) as servers:
        yield url, servers


async def run_relay(settings: Settings, url: str, servers: Sequence[str], stop: asyncio.Event) -> None:
    """Pass on events until `stop` is set. If the broker can't be reached, the relay waits for it. If the stream can't be used, it
    fails at once."""
    credentials = str(settings.nats_credentials) if settings.nats_credentials else None
    stream = BrokerStream(
        servers,
        settings.nats_stream,
        replicas=settings.nats_replicas,
        max_bytes=settings.nats_max_bytes,
        credentials=credentials,
    )
    relay = Relay(stream)
    try:
        try:
            await stream.open()
        except BrokerUnavailable as error:
            log.warning("broker is away", reason=str(error))
        await _tell_durability(settings)
        with tracing.recording(settings) as spans:
            [follower] = tracing.traced([relay], spans)
            runner = FollowerRunner(url, follower, stands_at=relay.stands_at, poll=POLL, rest=REST, patience=PATIENCE)
            await runner.run(stop)
    finally:
        await relay.close()


async def _tell_durability(settings: Settings) -> None:
    if settings.nats_url and not settings.nats_monitoring_url:
        log.warning(
            "it is unknown whether the broker syncs before it acknowledges",
            remedy="set NATS_MONITORING_URL to the monitoring addresses of its servers",
        )
    for server in await asyncio.gather(*(durability(address) for address in settings.nats_monitoring_url)):
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
