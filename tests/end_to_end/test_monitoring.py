"""A real Prometheus watches a real service: every figure of the dashboard and of the alarms is there, and when the followers are killed,
an operator hears of it.
"""

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.catalogues import publish
from tests.support.command import Command
from tests.support.events_client import EVENTS, events_key
from tests.support.eventually import until
from tests.support.links import ONE_CLICK, PUBLIC_URL, SECRET, link
from tests.support.processes import kill
from tests.support.prometheus import Prometheus, scraping
from tests.support.promql import OF_PROMETHEUS, alerts, filled_in, queries, selectors
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

ROOT = Path(__file__).parents[2]
KILLED = "PreferencesFollowerNotRunning"
OF_TROUBLE = {"Alarms", "State of followers", "Messages of the log"}
"""Panels with an expression that has an answer only when something is wrong."""
OF_STANDBYS = {"Synchronous standbys", "Not confirmed by standbys", "Lag of the read replica"}
"""Panels with an answer only where there are standbys. This service has none."""

IN_A_CLUSTER = (
    *("preferences_replication_standbys", "preferences_replication_standbys_wanted"),
    *("preferences_replication_unconfirmed_bytes", "preferences_read_replica_lag_seconds"),
)
"""Told only where there are standbys (tests/api/operations/test_replication.py)."""


class Watched:
    """A service, its followers in a process of their own, and a Prometheus that scrapes it."""

    def __init__(self, server: Server, prometheus: Prometheus, command: Command, log: IO[bytes]) -> None:
        self.server, self.prometheus = server, prometheus
        self._command, self._log = command, log
        self.following = self._follow()

    def _follow(self) -> "subprocess.Popen[bytes]":
        return self._command.run_beside(self._log, "follow", checkpoint_interval=1, sweep_within=1)

    def follow_again(self) -> None:
        self.following = self._follow()

    def end(self) -> None:
        self.following.terminate()
        self.following.wait(timeout=60)


@pytest.fixture(scope="module")
def watched(new_database) -> Iterator[Watched]:
    """It was used in every way that is counted, and Prometheus has seen that."""
    url = new_database()
    asyncio.run(publish(url))
    settings = {
        "checkpoint_interval": 1,
        "sweep_within": 3600,
        "change_rate_limit": 1,
        "role_scopes": "admin=audit:read,preferences:read",
        "unsubscribe_keys": SECRET,
        "public_url": PUBLIC_URL,
        # It is no standby, which the metrics say, and the primary is read instead.
        "read_database_url": url,
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context((folder / "log").open("w+b"))
        server = stack.enter_context(Server(url, **settings))
        prometheus = stack.enter_context(scraping(folder / "prometheus", server.url))
        watched = Watched(server, prometheus, Command(folder / "data", url), log)
        stack.callback(watched.end)
        stack.enter_context(live_reader(server))
        use(server)
        until(lambda: prometheus.ask("preferences_decisions_total > 0"))
        use(server)
        until(lambda: without_answer(prometheus) == [])
        yield watched


def live_reader(server: Server) -> Any:
    headers = asyncio.run(events_key(server.database_url, "org_math"))
    return httpx.stream("GET", f"{server.url}{EVENTS}", headers={**headers, "accept": "text/event-stream"}, timeout=60)


def use(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=10) as http:
        for number in range(3):
            user = bearer(f"user_{number}", "org_math", role="admin")
            http.get(PATH, headers=user)
            for on in (False, True):
                http.patch(PATH, json={"email": {"product_updates": on}}, headers=user)
            question = {"channel": "email", "toggle": "product_updates", "users": ["user_0", "user_3"]}
            assert http.post("/v1/decisions", json=question, headers=user).status_code == 200
            assert http.post(link(f"user_{number}"), data=ONE_CLICK).status_code == 200


def without_answer(prometheus: Prometheus) -> list[tuple[str, str]]:
    without = OF_TROUBLE | OF_STANDBYS
    return [query for query in queries() if query[0] not in without and not prometheus.ask(query[1])]


def scraped(server: Server) -> dict[str, set[str]]:
    """The labels of each sample of /metrics, by its name."""
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics", timeout=10).text)
    found: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def unknown(expression: str, known: dict[str, set[str]]) -> set[str]:
    """The metrics of an expression that /metrics hasn't, and the labels that they don't have there."""
    named = {each for each in selectors(expression) if each.name not in OF_PROMETHEUS}
    labels = {label for each in named for label in each.labels - {"job", "instance"} - known.get(each.name, set())}
    return {each.name for each in named} - known.keys() | labels


def test_every_metric_in_an_alarm_or_on_the_dashboard_is_told_by_the_service(watched: Watched) -> None:
    known = {**scraped(watched.server), **{name: set[str]() for name in IN_A_CLUSTER}}
    for title, expression in queries():
        assert unknown(expression, known) == set(), title
    for rule in alerts():
        assert unknown(filled_in(rule["expr"]), known) == set(), rule["alert"]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("sum(rate(preferences_batches_made_up_total[5m])) / 2", {"preferences_batches_made_up_total"}),
        ('max(preferences_batches_total{sort="changes"}) > 0', {"sort"}),
        ("preferences_ready unless (up == 0)", set()),
    ],
)
def test_a_name_that_was_made_up_is_found(watched: Watched, expression: str, found: set[str]) -> None:
    assert unknown(expression, scraped(watched.server)) == found


def test_every_panel_of_the_dashboard_has_something_to_show(watched: Watched) -> None:
    assert without_answer(watched.prometheus) == []
    for title, expression in queries():
        if title in OF_TROUBLE | OF_STANDBYS:
            # There is no trouble and no standby, but Prometheus understands the question.
            watched.prometheus.ask(expression)


def test_every_metric_is_written_of(watched: Watched) -> None:
    text = "".join((ROOT / "docs" / page).read_text() for page in ("operations.md", "production.md"))
    told = set(re.findall(r"`((?:preferences|http|process)_\w+)`", text))
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in scraped(watched.server)}
    assert ours - told == set()
    # What is written of is there, or is made somewhere: some metrics are told only in a cluster.
    source = "".join(file.read_text() for room in ("api", "infrastructure") for file in (ROOT / room).rglob("*.py"))
    roles = {"preferences_owner", "preferences_service"}
    absent = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told} - ours - roles
    assert {name for name in absent if f'"{name}"' not in source} == set()


def test_prometheus_evaluates_each_alarm(watched: Watched) -> None:
    groups = watched.prometheus.get("rules")["groups"]
    rules = {rule["name"]: (rule["health"], rule.get("lastError")) for group in groups for rule in group["rules"]}
    assert rules == {rule["alert"]: ("ok", None) for rule in alerts()}


def test_when_the_followers_are_killed_an_alarm_fires_until_they_run_again(watched: Watched) -> None:
    prometheus = watched.prometheus
    # Given that a process runs the followers, and nothing else is wrong, apart from the speed of this machine and the standby that is none,
    until(lambda: prometheus.ask('preferences_follower_leading{follower="audit-index"} == 1'))
    until(lambda: prometheus.firing() <= {"PreferencesSlow", "PreferencesReadReplicaUnused"})
    # when it is killed,
    kill(watched.following.pid)
    watched.following.wait()
    # then the alarm says which follower no process runs.
    until(lambda: KILLED in prometheus.firing())
    alarm = prometheus.alerts()[KILLED]
    assert alarm["labels"]["follower"] == "audit-index"
    assert alarm["annotations"]["summary"] == "No process runs the follower audit-index"
    # The alarm ends when a process runs them again.
    watched.follow_again()
    until(lambda: KILLED not in prometheus.firing())
