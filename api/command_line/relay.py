"""`preferences relay`: every event, handed on to NATS JetStream."""

import asyncio

from api import bootstrap
from api.command_line.console import notes
from api.command_line.ending import stop_when_told, unwind_when_told


def relay() -> None:
    """Hand every event on to NATS JetStream until SIGTERM. Where several relays run, one leads and the others stand by.

    Without NATS_URL a server for development is started under DATA_DIR, and stopped with the relay.
    """

    async def run() -> None:
        await bootstrap.relay.run_relay(settings, url, servers, stop_when_told())

    settings = bootstrap.settings()
    unwind_when_told()  # until the relay runs, so that what was started is stopped
    with bootstrap.relay.relaying(settings) as (url, servers):
        if not settings.nats_url:
            notes.print(f"NATS for development on {servers[0]} — stream {settings.nats_stream}", soft_wrap=True)
        asyncio.run(run())
