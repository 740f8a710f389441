"""The command that makes session tokens for development."""

from typing import Annotated, Final

import typer

from api import bootstrap

LONGEST: Final = 100 * 365 * 24
"""Hours: a hundred years. No token needs to live longer, and the calendar of Python ends in the year 9999."""


def token(
    user: Annotated[str, typer.Option(help="The user, e.g. user_ada.")] = "user_demo",
    org: Annotated[str | None, typer.Option(help="The active organization; without it the token has none.")] = None,
    role: Annotated[str | None, typer.Option(help="The user's role in the organization, e.g. admin.")] = None,
    hours: Annotated[float, typer.Option(help="How long the token is valid.", min=0.001, max=LONGEST)] = 24,
) -> None:
    """Make a session token for development mode. Standard output has only the token."""
    typer.echo(bootstrap.identities.development_token(bootstrap.settings(), user, org, role, lifetime=hours * 3600))
