"""Requests of a page of another origin against the same requests without `Origin`: what CORS costs."""

import urllib.request
from dataclasses import replace

from bench.contender import OURS
from bench.goals import Figure
from bench.pair import CONNECTIONS, compare
from bench.stage import Stage
from bench.trial import Trial, VoidRun
from bench.wrk import Method

NAME = "cross_origin"
METHODS: tuple[Method, ...] = ("GET", "PATCH")
ORIGIN = "https://app.example.com"
ALLOWING = replace(OURS, settings={"CORS_ORIGINS": ORIGIN})
"""Both have the same settings: only the requests differ."""


def measure(stage: Stage) -> list[Figure]:
    figures = []
    with stage.trial(ALLOWING, origin=ORIGIN) as page, stage.trial(ALLOWING) as without:
        _check(page)
        for method in METHODS:
            rates = compare(stage, page, without, method=method)
            detail = f"{rates.first:,.0f}/s with Origin, {rates.second:,.0f}/s without, {CONNECTIONS} connections"
            figures.append(Figure(f"cross_origin.{method.lower()}", rates.ratio, detail))
    return figures


def _check(trial: Trial) -> None:
    """What is measured must be answers that such a page may read."""
    headers = {"Authorization": f"Bearer {trial.users.a_token}", "Origin": ORIGIN}
    request = urllib.request.Request(f"http://{trial.server.address}/v1/me/notifications", headers=headers)
    with urllib.request.urlopen(request) as response:
        if response.headers["Access-Control-Allow-Origin"] != ORIGIN:
            raise VoidRun("a page of the origin may not read the answers")
