"""`python -m api.command_line`: the console script of this installation, without a search path."""

from api.command_line import main

main()
