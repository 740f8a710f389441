"""`preferences`: the console script.

Exit codes: 0 for success, 1 for failure (one sentence on standard error says why), 2 for a misspelt command.
"""

import sys


def main() -> None:
    if sys.argv[1:2] == ["probe"]:
        # A health check runs every few seconds, as long as the service does. The imports below would cost it ten times as much.
        from api.command_line import quick_probe

        quick_probe.end_if_plain(sys.argv[2:])

    from api import bootstrap
    from api.command_line.commands import CLI
    from api.command_line.console import complain, sentence
    from api.command_line.ending import fail_on_signal

    fail_on_signal()
    try:
        CLI.main(prog_name="preferences")
    except SystemExit:
        raise  # before the errors of an operator are looked up, which loads all that can raise them
    except bootstrap.errors.OPERATOR_ERRORS as error:
        complain(sentence(bootstrap.errors.by_name(error)))
        sys.exit(1)
