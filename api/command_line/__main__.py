"""`python -m api.command_line`: the console script, wherever it was installed."""

from api.command_line import main

main()
