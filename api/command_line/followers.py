"""What follows the log: running it, and looking after it."""

import asyncio
import signal

from api import bootstrap


def follow() -> None:
    """Run the followers of the log until SIGTERM. Where several processes do, one leads and the others stand by."""

    async def run(url: str) -> None:
        stop = asyncio.Event()
        for ending in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(ending, stop.set)
        await bootstrap.run_followers(url, bootstrap.registered(settings), stop)

    settings = bootstrap.settings()
    bootstrap.configure_logs(settings)
    with bootstrap.migrated_database(settings) as url:
        asyncio.run(run(url))
