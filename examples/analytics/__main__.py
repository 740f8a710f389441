"""`python -m examples.analytics`: replay the log, answer, draw."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from examples.analytics.answers import Answer, Answers, NothingThere, answer
from examples.analytics.chart import draw
from examples.analytics.demo import make_log, settings
from examples.analytics.replay import replay

app = typer.Typer(add_completion=False)

TITLES = {
    "opt_outs_by_week": "How many opted out of what, week by week?",
    "opt_outs_by_source": "Through what, and by whose hand?",
    "net_change_by_catalogue": "Opt-ins less opt-outs in the {days} days before and after a catalogue came into force",
}


@app.command()
def main(
    folder: Annotated[
        Path, typer.Option(help="Where the replay is kept, and gone on with; and the demo's log.")
    ] = Path("data/analytics"),
    chart: Annotated[Path, typer.Option(help="The picture: .svg, .png or .pdf.")] = Path("data/analytics/chart.svg"),
    days: Annotated[
        int, typer.Option(help="Days to look at before and after a catalogue came into force.", min=1, max=3650)
    ] = 28,
    demo: Annotated[
        bool, typer.Option("--demo", help="Look at a made-up log, though there may be a real one.")
    ] = False,
) -> None:
    """Answer three questions about opt-outs from a replay of the whole log, and draw them.

    The log is that of the service whose settings are in the environment. Where nobody has chosen anything yet, one is made up.
    """
    answers = _of_demo(folder / "demo", days) if demo else _of_service(folder, days)
    _show(answers, days)
    draw(answers, days, chart)
    typer.echo(f"drawn in {chart}")


def _of_service(folder: Path, days: int) -> Answers:
    replay(folder / "replay", os.environ)
    try:
        return answer(folder / "replay", days)
    except NothingThere as nothing:
        typer.echo(f"{nothing}: a log is made up, in {folder / 'demo'}", err=True)
        return _of_demo(folder / "demo", days)


def _of_demo(folder: Path, days: int) -> Answers:
    if not (folder / "replay").exists():
        environment = settings(folder)
        make_log(environment)
        replay(folder / "replay", environment)
    return answer(folder / "replay", days)


def _show(answers: Answers, days: int) -> None:
    console = Console(highlight=False)
    for name, title in TITLES.items():
        console.print(_table(title.format(days=days), getattr(answers, name)))


def _table(title: str, answer: Answer) -> Table:
    table = Table(*answer.columns, title=title, title_justify="left", box=None, padding=(0, 2))
    for row in answer.rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table


if __name__ == "__main__":
    try:
        app(prog_name="python -m examples.analytics")
    except (NothingThere, OSError, subprocess.CalledProcessError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
