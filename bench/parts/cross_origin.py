"""Requests of a page of another origin against the same requests without `Origin`: what CORS costs."""

import urllib.request
from contextlib import ExitStack
from dataclasses import replace

from bench.contender import OURS
from bench.figure import Figure
from bench.pair import VoidRun, compare
from bench.stage import Stage
from bench.trial import Trial

NAME = "cross_origin"
CONNECTIONS = 32
ORIGIN = "https://app.example.com"
ALLOWING = replace(OURS, settings={"CORS_ORIGINS": ORIGIN})
"""Both have the same settings: only the requests differ."""


def measure(stage: Stage) -> list[Figure]:
    figures = []
    with ExitStack() as stack:
        urls = [stack.enter_context(stage.database(name)) for name in ("cross_origin", "same_origin")]
        page = stack.enter_context(stage.trial(ALLOWING, urls[0], origin=ORIGIN))
        without = stack.enter_context(stage.trial(ALLOWING, urls[1]))
        _check(page)
        for method in ("GET", "PATCH"):
            rates = compare(stage, page, without, connections=CONNECTIONS, method=method)
            figures.append(
                Figure(
                    f"cross_origin.{method.lower()}",
                    rates.ratio,
                    f"{rates.first:,.0f}/s with Origin, {rates.second:,.0f}/s without, {CONNECTIONS} connections",
                )
            )
    return figures


def _check(trial: Trial) -> None:
    """What is measured must be answers that such a page may read."""
    headers = {"Authorization": f"Bearer {trial.users.a_token}", "Origin": ORIGIN}
    request = urllib.request.Request(f"http://{trial.server.address}/v1/me/notifications", headers=headers)
    with urllib.request.urlopen(request) as response:
        if response.headers["Access-Control-Allow-Origin"] != ORIGIN:
            raise VoidRun("a page of the origin may not read the answers")
