"""Commands that check the service's environment, and print the API's description."""

import typer

from api import bootstrap
from api.command_line.console import output


def check() -> None:
    """Check all that `serve` and `follow` need: settings, database, migrations, schema, catalogue, checkpoints, key set.

    Exit code 1 if anything is wrong.
    """
    failed = False
    for subject, finding, wrong in bootstrap.checks.findings():
        failed |= wrong
        output.print(f"[red]✗[/] {subject:<12}" if wrong else f"[green]✓[/] {subject:<12}", end="")
        output.print(finding, markup=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


def openapi() -> None:
    """Print the API's description, as in /openapi.json."""
    from api.bootstrap.service import openapi_document

    typer.echo(openapi_document())
