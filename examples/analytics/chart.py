"""The answers as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from examples.analytics.answers import Answer, Answers

COLOURS = ["#0969da", "#bf8700", "#1a7f37", "#8250df", "#cf222e", "#57606a"]

# The same answers give the same file, byte for byte.
mpl.rcParams["svg.hashsalt"] = "notification-preferences"


def draw(answers: Answers, days: int, file: Path) -> None:
    figure = Figure(figsize=(10, 8), layout="constrained")
    weeks, sources, catalogues = figure.subplot_mosaic([["weeks", "weeks"], ["sources", "catalogues"]]).values()
    _weeks(weeks, answers.opt_outs_by_week)
    _sources(sources, answers.opt_outs_by_source)
    _catalogues(catalogues, answers.net_change_by_catalogue, days)
    for axes in (weeks, sources, catalogues):
        axes.spines[["top", "right"]].set_visible(False)
    # What is counted are people.
    weeks.yaxis.set_major_locator(MaxNLocator(integer=True))
    sources.xaxis.set_major_locator(MaxNLocator(integer=True))
    catalogues.yaxis.set_major_locator(MaxNLocator(integer=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _weeks(axes: Axes, answer: Answer) -> None:
    axes.set_title("Opt-outs a week", loc="left")
    weeks = sorted({week for week, _, _ in answer.rows})
    below = [0] * len(weeks)
    for number, toggle in enumerate(sorted({toggle for _, toggle, _ in answer.rows})):
        counts = [count for _, of, count in answer.rows if of == toggle]
        _bars(axes, range(len(weeks)), counts, number, label=toggle, bottom=below, width=0.6)
        below = [low + count for low, count in zip(below, counts, strict=True)]
    # As many labels as there is room for; one week alone isn't as wide as the picture.
    step = len(weeks) // 12 + 1
    axes.set_xticks(range(0, len(weeks), step), [f"{week:%d %b %Y}" for week in weeks[::step]], rotation=30, ha="right")
    axes.set_xlim(-0.8, max(len(weeks), 6) - 0.2)
    _legend(axes)


def _sources(axes: Axes, answer: Answer) -> None:
    axes.set_title("Opt-outs by source", loc="left")
    labels = [f"{source}, {by_whom}" for source, by_whom, _ in answer.rows]
    axes.barh(labels, [count for _, _, count in answer.rows], color=COLOURS[0], height=0.5)
    axes.set_ylim(max(len(labels), 3) - 0.5, -0.5)


def _catalogues(axes: Axes, answer: Answer, days: int) -> None:
    newest = max((row[0] for row in answer.rows), default=None)
    axes.set_title(f"Net change around catalogue {newest}, {days} days", loc="left")
    rows = [row for row in answer.rows if row[0] == newest]
    _bars(axes, [at - 0.2 for at in range(len(rows))], [row[2] or 0 for row in rows], 5, label="before", width=0.4)
    _bars(axes, [at + 0.2 for at in range(len(rows))], [row[3] or 0 for row in rows], 0, label="after", width=0.4)
    axes.axhline(0, color="#57606a", linewidth=0.8)
    axes.set_xticks(range(len(rows)), [row[1].partition(".")[2] for row in rows], rotation=20, ha="right")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Beside the bars, none of which it may cover."""
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")


def _bars(axes: Axes, at: Sequence[float], heights: Sequence[int], colour: int, **options: Any) -> None:
    axes.bar(at, heights, color=COLOURS[colour % len(COLOURS)], **options)
