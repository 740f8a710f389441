"""The picture of the result: requests a second of each contender, as an SVG that suits light and dark pages."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from bench.pair import CONNECTIONS

TITLES = {"PATCH": "PATCH, every one a durable change", "GET": "GET"}
LABELS = {
    "ours": "this service, as it is shipped",
    "ours_alone": "the same without followers",
    "node": "plain CRUD in Node, no history",
    "crud": "plain CRUD in Python, no history",
    "emmett": "event sourcing library in Node",
    "textbook": "event sourcing library in Python",
    "ceiling": "FastAPI answering a constant",
    "database": "PostgreSQL alone (pgbench)",
    "locked": "the same, keeping the log in order",
}
BOUNDS = ("ours_alone", "ceiling", "database", "locked")
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 780, 270, 90, 22, 10, 34

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.note { fill: #59636e; font-size: 12px }
.ours { fill: #0969da } .theirs { fill: #afb8c1 } .bound { fill: none; stroke: #afb8c1; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 } .ours { fill: #4493f8 } .theirs { fill: #57606a } .bound { stroke: #57606a }
}
"""


def svg(found: Mapping[tuple[str, str], float], note: str) -> str:
    """Bars of the rates by method and contender. Each method has a scale of its own; what does less than all of a service's work is dashed."""
    parts: list[str] = []
    y = 8
    for method in TITLES:
        rates = {name: rate for (of, name), rate in found.items() if of == method}
        if rates:
            parts += _panel(TITLES[method], rates, y)
            y += TOP + len(rates) * (BAR + GAP) + 14
    parts.append(f'<text class="note" x="8" y="{y + 10}">{escape(note)}</text>')
    height = y + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Requests a second of each contender">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(title: str, rates: Mapping[str, float], y: float) -> list[str]:
    parts = [
        f'<text class="title" x="8" y="{y + 16}">{escape(title)}: requests a second, {CONNECTIONS} connections</text>'
    ]
    scale = (WIDTH - LEFT - RIGHT) / max(rates.values())
    order = [name for name in LABELS if name in rates]
    for row, name in enumerate(order):
        top = y + TOP + row * (BAR + GAP)
        width = rates[name] * scale
        kind = "ours" if name == "ours" else "bound" if name in BOUNDS else "theirs"
        parts += [
            f'<text x="{LEFT - 10}" y="{top + 16}" text-anchor="end">{escape(LABELS[name])}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{top + 16}">{rates[name]:,.0f}</text>',
        ]
    return parts
