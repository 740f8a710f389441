"""The alarms in deploy/prometheus: Prometheus' own tool understands and tries them, and each is told to operators."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.counterparts import counterpart
from tests.support.prometheus import SENTENCE
from tests.support.promql import ALERTS, alerts, filled_in, selectors

ROOT = Path(__file__).parents[2]
TRIED = [ALERTS.with_name(name) for name in ("alerts.test.yml", "alerts.long.test.yml")]
PAGES = [(ROOT / "docs" / name).read_text() for name in ("production.md", "operations.md")]


SPOILT = {
    "PreferencesDown": ('up{job="preferences"} == 0', 'up{job="preferences"} == 1'),
    "PreferencesNothingSigned": ("> 5 * max without", "> 50 * max without"),
    "PreferencesCriticalLine": (' unless preferences_log_lines_total{level="critical"} offset 10m', ""),
    "PreferencesFollowerBehind": ("unless max without (instance, pod) (preferences_follower_paused) > 0", ""),
    "PreferencesSweepNeverCompleted": ("for: 2d", "for: 2h"),
}
"""What is made of some of the rules, so that they fire too early, too late, too often, or never."""


@pytest.fixture(scope="module")
def promtool() -> Path:
    return counterpart("promtool", SENTENCE)


def run(promtool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)


def test_prometheus_reads_configuration_and_rules(promtool: Path) -> None:
    checked = run(promtool, "check", "config", ALERTS.with_name("prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(alerts())} rules found" in checked.stdout


def test_each_alarm_fires_when_it_has_to_and_not_before(promtool: Path) -> None:
    tried = run(promtool, "test", "rules", *TRIED)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_alarms_that_were_spoilt_are_found_out(promtool: Path, tmp_path: Path) -> None:
    text = ALERTS.read_text()
    for alarm, (rule, instead) in SPOILT.items():
        assert f"- alert: {alarm}\n" in text
        assert rule in text
        text = text.replace(rule, instead)
    (tmp_path / ALERTS.name).write_text(text)
    for file in TRIED:
        shutil.copy(file, tmp_path)
    tried = run(promtool, "test", "rules", *(tmp_path / file.name for file in TRIED))
    assert tried.returncode == 1
    assert {alarm for alarm in SPOILT if f'"{alarm}"' not in tried.stdout + tried.stderr} == set()


def test_each_alarm_is_tried_both_ways() -> None:
    tests = [test for file in TRIED for test in yaml.safe_load(file.read_text())["tests"]]
    asked = [asked for test in tests for asked in test["promql_expr_test"]]
    fires = {name for each in asked for name in re.findall(r'alertname="(\w+)"', str(each["exp_samples"]))}
    assert {rule["alert"] for rule in alerts()} - fires == set()
    # All that is right is told in one test, of everything at once.
    [well] = [test for test in tests if test["name"].endswith("all is well")]
    given = " ".join(series["series"] for series in well["input_series"])
    needed = {selector.name for rule in alerts() for selector in selectors(filled_in(rule["expr"]))}
    assert {name for name in needed if name not in given} == set()


def test_each_alarm_is_on_a_page_for_operators_and_no_other_is() -> None:
    told = {name for page in PAGES for name in re.findall(r"`(Preferences[A-Z]\w+)`", page)}
    assert told == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alarm_says_how_urgent_it_is_what_is_wrong_and_where_it_is_written(rule) -> None:
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    text = (ROOT / page).read_text()
    headings = {slug(found) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    assert not heading or heading in headings


def slug(heading: str) -> str:
    """The address of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_what_other_programs_tell_by_the_same_names_is_told_apart_by_the_job() -> None:
    ours = ("preferences_",)
    for rule in alerts():
        for selector in selectors(filled_in(rule["expr"])):
            assert selector.name.startswith(ours) or "job" in selector.labels, rule["alert"]
