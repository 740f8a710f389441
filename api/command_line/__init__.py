"""`preferences`: the console script.

Exit codes: 0 for success, 1 for failure (one sentence on standard error says why), 2 for a misspelt command.
"""

import sys

import typer

from api import bootstrap
from api.command_line import (
    api_keys,
    audit,
    audit_log,
    catalogue,
    checks,
    database,
    demo,
    erase,
    followers,
    history,
    person_keys,
    relay,
    replay,
    serve,
    tokens,
)
from api.command_line.console import complain, sentence
from api.command_line.ending import fail_on_signal

cli = typer.Typer(
    name="preferences",
    help="Notification preferences with full history: the service, and the commands for its operators.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.command()(serve.serve)
cli.command()(database.migrate)
cli.add_typer(catalogue.cli, name="catalogue")
cli.command()(tokens.token)
cli.add_typer(api_keys.cli, name="api-keys")
cli.command()(database.rebuild)
cli.command()(followers.follow)
cli.add_typer(followers.cli, name="followers")
cli.command()(relay.relay)
cli.command()(history.history)
cli.command()(replay.replay)
cli.command()(erase.erase)
cli.command()(demo.demo)
cli.add_typer(person_keys.cli, name="person-keys")
cli.add_typer(audit.cli, name="audit")
audit.cli.command()(audit_log.export)
audit.cli.command()(audit_log.reads)
cli.command()(checks.check)
cli.command()(checks.openapi)


def main() -> None:
    fail_on_signal()
    bootstrap.configure_command_logs()
    try:
        cli(prog_name="preferences")
    except SystemExit:
        raise  # before the errors of an operator are looked up, which loads all that can raise them
    except bootstrap.errors.OPERATOR_ERRORS as error:
        complain(sentence(error))
        sys.exit(1)
