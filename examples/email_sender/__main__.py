"""`python -m examples.email_sender`: `follow` keeps the replica and shows what it means for one user, `decide` answers once, and `send`
writes to users with a link to unsubscribe."""

import asyncio
import signal
import sqlite3
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from examples.email_sender.decision import Decision, decide
from examples.email_sender.lag import no_lag, relay_lag
from examples.email_sender.mail import Letter, decisions, send
from examples.email_sender.reader import Reader
from examples.email_sender.relay import running_relay
from examples.email_sender.replica import Replica, Unusable

LOOK_EVERY = 0.1
"""Seconds between two looks at the replica."""

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="An e-mail sender that decides without asking anybody."
)

Bound = Annotated[
    float,
    typer.Option(help="Seconds that the replica may be behind; beyond, nothing that could be refused is sent.", min=0),
]
File = Annotated[Path, typer.Option("--replica", help="The SQLite file.", envvar="REPLICA")]
User = Annotated[str, typer.Option(help="The user.")]
Organization = Annotated[str | None, typer.Option(help="The user's organization; absent for a user without one.")]

REPLICA = Path("data/email_sender.sqlite")


@app.command()
def follow(
    user: User = "user_demo",
    org: Organization = "org_demo",
    bound: Bound = 10,
    replica: File = REPLICA,
    service: Annotated[
        str | None,
        typer.Option(
            help="Address of the service, to be asked in the background how far its relay is behind.",
            envvar="SERVICE_URL",
        ),
    ] = None,
    nats_url: Annotated[
        str | None,
        typer.Option(help="Servers, separated by commas; without, `preferences relay` is started.", envvar="NATS_URL"),
    ] = None,
    stream: Annotated[str, typer.Option(help="Name of the stream.", envvar="NATS_STREAM")] = "notification-preferences",
    credentials: Annotated[
        str | None, typer.Option(help="File with NATS credentials.", envvar="NATS_CREDENTIALS")
    ] = None,
) -> None:
    """Keep the replica up to date until Ctrl-C, and print each decision about one user whenever it changes."""
    signal.signal(signal.SIGTERM, end)
    lag = partial(relay_lag, service) if service else no_lag
    with ExitStack() as running, Replica.write(replica) as kept:
        servers = (nats_url or running.enter_context(running_relay())).split(",")
        reader = Reader(kept, servers, stream, credentials, lag, complain)
        asyncio.run(_both(reader, kept, org, user, bound))


@app.command(name="decide")
def decide_once(
    toggle: Annotated[str, typer.Argument(help="Channel and toggle, e.g. email.product_updates.")],
    user: User,
    org: Organization = None,
    bound: Bound = 10,
    replica: File = REPLICA,
) -> None:
    """May this user be sent this? Exit code 0 for yes, 1 for no. Reads the file and nothing else."""
    with Replica.read(replica) as kept:
        decision = _decided(kept, org, user, toggle, bound)
    typer.echo(f"{_word(decision)}: {decision.reason}")
    raise typer.Exit(not decision.allowed)


@app.command(name="send")
def send_mail(
    toggle: Annotated[str, typer.Argument(help="Channel and toggle, e.g. email.product_updates.")],
    to: Annotated[list[str], typer.Option(help="USER=ADDRESS. Repeat for several.")],
    key: Annotated[str, typer.Option(help="An API key with preferences:read.", envvar="API_KEY")],
    subject: Annotated[str, typer.Option(help="The subject.")],
    text: Annotated[str, typer.Option(help="The text.")],
    sender: Annotated[str, typer.Option("--from", help="The sender's address.")],
    org: Annotated[
        str | None, typer.Option(help="The organization, which only a key of the platform must name.")
    ] = None,
    service: Annotated[
        str, typer.Option(help="Address of the service.", envvar="SERVICE_URL")
    ] = "http://127.0.0.1:8000",
    smtp: Annotated[str, typer.Option(help="HOST:PORT of the mail server.")] = "127.0.0.1:25",
) -> None:
    """Ask the service who may be written to, and write to them, with headers to unsubscribe by one click."""
    addresses = dict(each.split("=", 1) for each in to)
    decided = decisions(service, key, org, toggle, [*addresses])
    host, _, port = smtp.rpartition(":")
    send(Letter(sender, subject, text), addresses, decided, host, int(port))
    for decision in decided:
        typer.echo(f"{decision['user']}  {'sent' if decision['allowed'] else 'not sent'}: {decision['reason']}")


async def _both(reader: Reader, replica: Replica, org: str | None, user: str, bound: float) -> None:
    await asyncio.gather(reader.run(), _watch(replica, org, user, bound))


async def _watch(replica: Replica, org: str | None, user: str, bound: float) -> None:
    shown: dict[str, Decision] = {}
    while True:
        for channel, name in replica.toggles():
            toggle = f"{channel}.{name}"
            decision = _decided(replica, org, user, toggle, bound)
            if shown.get(toggle) != decision:
                shown[toggle] = decision
                typer.echo(f"{time.strftime('%H:%M:%S')}  {user}  {toggle:<28} {_word(decision)}: {decision.reason}")
                sys.stdout.flush()
        await asyncio.sleep(LOOK_EVERY)


def _decided(replica: Replica, org: str | None, user: str, toggle: str, bound: float) -> Decision:
    channel, _, name = toggle.partition(".")
    return decide(replica, org, user, channel, name, now=time.time(), bound=bound)


def _word(decision: Decision) -> str:
    return "send" if decision.allowed else "don't send"


def end(*_: object) -> None:
    """Unwind the stack, so that what was started here is stopped; told so again, as some supervisors do, go on with that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def complain(what: str) -> None:
    typer.echo(f"{time.strftime('%H:%M:%S')}  {what}", err=True)


def main() -> None:
    try:
        app(prog_name="python -m examples.email_sender")
    except (Unusable, OSError, sqlite3.Error) as error:
        complain(f"error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
