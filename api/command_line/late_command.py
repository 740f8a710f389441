"""Commands whose modules are imported when they are called.

All modules of commands, with what they import, take several times as long as any one of them. So the list of commands knows the name and
the first sentences of each command, and nothing else of it.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand
from typing_extensions import override

from api import bootstrap


class LateCommand(TyperCommand):
    """Stands for a command in the list. `place` is its module in this folder, and its function."""

    def __init__(self, name: str, place: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.place: Final = place

    @override
    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        context = self.load().make_context(info_name, args, parent, **extra)
        # Only now, because a command that shows its help, or was misspelt, has ended and logs nothing.
        bootstrap.configure_command_logs()
        return context

    def load(self) -> Any:
        module, _, function = self.place.partition(".")
        command: Callable[..., Any] = getattr(import_module(f"{__package__}.{module}"), function)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name)(command)
        return typer.main.get_command(alone)
