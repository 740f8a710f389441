"""`preferences relay`: passes every event on to NATS JetStream."""

import asyncio

from api import bootstrap
from api.command_line.console import notes
from api.command_line.ending import exit_on_signal, stop_when_told


def relay() -> None:
    """Pass every event on to NATS JetStream until SIGTERM. If several relays run, one leads and the others stand by.

    Without NATS_URL, the relay starts a NATS server for development in DATA_DIR,
    and stops it at the end.
    """

    async def run() -> None:
        await bootstrap.relay.run_relay(settings, url, servers, stop_when_told())

    settings = bootstrap.settings()
    exit_on_signal()  # Until the relay runs, so that the servers started here are stopped.
    with bootstrap.relay.relaying(settings) as (url, servers):
        if not settings.nats_url:
            notes.print(f"NATS for development on {servers[0]} — stream {settings.nats_stream}", soft_wrap=True)
        asyncio.run(run())
