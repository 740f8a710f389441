"""Is everything as it should be?"""

import typer

from api import bootstrap
from api.command_line.console import output


def check() -> None:
    """Check the settings, the database, its migrations and the key set. Exit code 1 if anything is wrong."""
    failed = False
    for subject, finding, wrong in bootstrap.checks.findings():
        failed |= wrong
        output.print(f"[red]✗[/] {subject:<12}" if wrong else f"[green]✓[/] {subject:<12}", end="")
        output.print(finding, markup=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


def openapi() -> None:
    """Print the API's description, as /openapi.json serves it."""
    from api.bootstrap.service import openapi_document

    typer.echo(openapi_document())
