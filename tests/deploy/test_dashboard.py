"""The dashboard in deploy/grafana, as far as it can be tried without Grafana, and how it gets there."""

import itertools
from typing import Any

import pytest
import yaml

from tests.support.promql import DEPLOY, Selector, alerts, dashboard, filled_in, labels_of_template, panels, selectors

PROVISIONING = DEPLOY / "grafana" / "provisioning"
WIDTH = 24
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps", "ops"}
"""Grafana's names of units, of those that are in use here."""
SAID_BY_THE_ALARM = {"preferences_checkpoint_interval_seconds", "preferences_followers_known"}
"""A setting, and whether anything is known. Neither has a course that a panel could show."""


def test_each_panel_has_a_number_and_a_title_of_its_own() -> None:
    everything = dashboard()["panels"]
    numbers = [panel["id"] for panel in everything]
    titles = [panel["title"] for panel in everything]
    assert len(set(numbers)) == len(numbers)
    assert len(set(titles)) == len(titles)


def test_no_panel_lies_on_another_or_beyond_the_edge() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= WIDTH
        columns = range(place["x"], place["x"] + place["w"])
        for cell in itertools.product(columns, range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_a_unit_and_asks_the_prometheus_that_is_chosen(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["type"] in ("timeseries", "stat", "table")
    if panel["type"] != "table":
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references) > 0
    for source in (panel, *panel["targets"]):
        assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_asks_for_the_servers_that_are_chosen(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert selectors(filled_in(target["expr"]))
        for selector in selectors(filled_in(target["expr"])):
            assert selector.name == "ALERTS" or selector.labels >= {"job", "instance"}, target["expr"]


def test_the_variables_are_those_that_panels_use() -> None:
    variables = {variable["name"]: variable for variable in dashboard()["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    assert variables["datasource"]["query"] == "prometheus"
    for name in ("job", "instance"):
        assert variables[name]["datasource"]["uid"] == "${datasource}"
        assert variables[name]["query"]["query"].endswith(f", {name})")


def test_a_legend_names_labels_that_the_expression_leaves() -> None:
    for panel in panels():
        for target in panel["targets"]:
            for label in labels_of_template(target["legendFormat"]):
                assert label in target["expr"] or label in ("instance", "process"), target


def test_grafana_finds_the_dashboard_and_a_prometheus() -> None:
    [source] = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    [provider] = yaml.safe_load((PROVISIONING / "dashboards" / "preferences.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert dashboard()["uid"] == "preferences"
    # Grafana gives a new dashboard a number of its own.
    assert dashboard()["id"] is None


def test_what_an_alarm_is_about_can_be_looked_at() -> None:
    shown = {selector.name for panel in panels() for target in panel["targets"] for selector in of(target["expr"])}
    needed = {selector.name for rule in alerts() for selector in of(rule["expr"])}
    assert needed - shown - SAID_BY_THE_ALARM == set()


def of(expression: str) -> set[Selector]:
    return selectors(filled_in(expression))
