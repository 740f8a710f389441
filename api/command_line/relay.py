"""`preferences relay`: every event, handed on to NATS JetStream."""

import asyncio
import signal
import sys

from api import bootstrap
from api.command_line.console import notes


def relay() -> None:
    """Hand every event on to NATS JetStream until SIGTERM. Where several relays run, one leads and the others stand by.

    Without NATS_URL a server for development is started under DATA_DIR, and stopped with the relay.
    """

    async def run() -> None:
        stop = asyncio.Event()
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, stop.set)
        await bootstrap.run_relay(settings, url, servers, stop)

    settings = bootstrap.settings()
    # Until the relay runs, a signal unwinds the stack, so that what was started is stopped.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    with bootstrap.relaying(settings) as (url, servers):
        if not settings.nats_url:
            notes.print(f"NATS for development on {servers[0]} — stream {settings.nats_stream}", soft_wrap=True)
        asyncio.run(run())
