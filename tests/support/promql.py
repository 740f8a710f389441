"""What Prometheus and Grafana are asked in `deploy/`: the expressions of the alarms and of the dashboard, and the metrics in them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "preferences.json"

OF_PROMETHEUS = frozenset({"up", "ALERTS"})
"""Series that Prometheus makes itself."""


class Selector(NamedTuple):
    """A metric, as an expression names it, and the labels that it picks series by."""

    name: str
    labels: frozenset[str]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


def panels() -> list[dict[str, Any]]:
    """Without the headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each panel's title with each of its expressions, as Prometheus gets them when all servers are chosen."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], filled_in(target["expr"])


def filled_in(expression: str, rate_interval: str = "1m") -> str:
    """In place of the dashboard's variables, what Grafana puts there."""
    values = {"$__rate_interval": rate_interval, "$job": "preferences", "$instance": ".*"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def selectors(expression: str) -> set[Selector]:
    """Every metric in an expression. An expression that can't be parsed is a ValueError."""
    return set(_selectors(promql_parser.parse(expression)))


def _selectors(node: Any) -> Iterator[Selector]:
    match node:
        case promql_parser.VectorSelector():
            yield Selector(node.name, frozenset(matcher.name for matcher in node.matchers.matchers))
        case promql_parser.MatrixSelector():
            yield from _selectors(node.vector_selector)
        case promql_parser.Call():
            for argument in node.args:
                yield from _selectors(argument)
        case promql_parser.BinaryExpr():
            yield from _selectors(node.lhs)
            yield from _selectors(node.rhs)
        case (
            promql_parser.AggregateExpr()
            | promql_parser.ParenExpr()
            | promql_parser.UnaryExpr()
            | promql_parser.SubqueryExpr()
        ):
            yield from _selectors(node.expr)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise AssertionError(node)


def labels_of_template(template: str) -> set[str]:
    """The labels in the legend of a panel."""
    return set(re.findall(r"\{\{\s*(\w+)\s*\}\}", template))
