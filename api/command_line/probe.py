"""`preferences probe`: asks a running service how it is, so that a container's health check needs neither a shell nor curl."""

from enum import StrEnum
from typing import Annotated

import typer

from api.command_line import quick_probe


class Question(StrEnum):
    """What is asked."""

    LIVE = "live"
    READY = "ready"


def probe(
    question: Annotated[Question, typer.Argument(help="Whether the process lives, or whether it can serve.")],
    host: Annotated[
        str, typer.Option(envvar="HOST", help="The address that the service listens on.")
    ] = quick_probe.HOST,
    port: Annotated[
        int, typer.Option(envvar="PORT", help="The port that the service listens on.", min=1, max=65535)
    ] = quick_probe.PORT,
    within: Annotated[float, typer.Option(help="Seconds in which the answer must come.", min=0.1)] = quick_probe.WITHIN,
) -> None:
    """Ask the service at HOST and PORT whether it lives, or whether it can serve. Exit code 1 if not.

    It reads no other setting. Without options it loads next to nothing, because a
    health check runs every few seconds.
    """
    raise typer.Exit(0 if quick_probe.ask(question, host, port, within) else 1)
