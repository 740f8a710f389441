"""The send decision: about ten thousand users at once, and about one against that user's own GET."""

import json
import random
import urllib.request
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.contender import OURS_ALONE
from bench.goals import Figure
from bench.stage import Stage
from bench.stored_log import fill
from bench.trial import VoidRun
from bench.users import User, numbered
from bench.wrk import Answers, Load, Method, send
from infrastructure.postgres import migrations

NAME = "decisions"
BATCH = 10_000
BATCHES = 20
"""Different ones: no part of the users is any warmer than the others."""
EVENTS = 2
"""Of each user: the stream opened, `product_updates` switched off."""
CONNECTIONS = 2
SENDER = replace(OURS_ALONE, settings={**OURS_ALONE.settings, "ROLE_SCOPES": "member=preferences:read"})


def measure(stage: Stage) -> list[Figure]:
    size = stage.size
    organization = numbered(0).organization
    members = [User(organization, numbered(number).name) for number in range(size.stored_users)]
    names = [user.name for user in members]
    chance = random.Random(20260426)
    batch = min(BATCH, len(names))
    questions = [_question(chance.sample(names, batch)) for _ in range(BATCHES)]
    many, one = (stage.work / f"{NAME}.{name}" for name in ("many", "one"))
    many.write_text("\n".join(questions))
    one.write_text(_question(names[:1]))
    users = stage.make_users(members[:1])
    with stage.database() as url:
        migrations.migrate(url)
        fill(url, members, EVENTS)
        with stage.trial(SENDER, url, users=users) as trial:

            def run(method: Method, content: Path, connections: int) -> Answers:
                load = Load(method, connections, size.seconds, users.tokens, content)
                answers = send(load, trial.server.address)
                if answers.refused or answers.broken or not answers.answered:
                    raise VoidRun(f"{answers.refused} refused, {answers.broken} broken of {answers.sent} requests")
                return answers

            _check(trial.server.address, users.a_token, questions[0], batch)
            if size.warm_up:
                run("DECIDE", many, CONNECTIONS)
            rates = [run("DECIDE", many, CONNECTIONS).rate * batch for _ in range(size.rounds)]
            pairs = [(run("DECIDE", one, 1).p50, run("GET", one, 1).p50) for _ in range(size.rounds)]
    ours, theirs = map(median, zip(*pairs, strict=True))
    detail = f"{batch:,} of {len(names):,} users at once, {CONNECTIONS} connections"
    return [
        Figure("decisions.rate", median(rates), detail),
        Figure("decisions.p50", median(a / b for a, b in pairs), f"{ours:.2f} ms against {theirs:.2f} ms"),
    ]


def _question(users: list[str]) -> str:
    return json.dumps({"channel": "email", "toggle": "product_updates", "users": users})


def _check(address: str, token: str, question: str, batch: int) -> None:
    """What is measured must be decisions that rest on the log: all have chosen, and all have switched it off."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://{address}/v1/decisions", question.encode(), headers)
    with urllib.request.urlopen(request) as response:
        decisions = json.load(response)["data"]["decisions"]
    good = [one for one in decisions if (one["allowed"], one["reason"], one["version"]) == (False, "choice", EVENTS)]
    if len(good) != batch:
        raise VoidRun(f"{len(good)} of {batch} decisions are what was chosen")
