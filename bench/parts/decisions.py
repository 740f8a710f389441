"""The send decision: about ten thousand users at once, and about one against that user's own GET."""

import json
import random
import urllib.request
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench import wrk
from bench.contender import OURS
from bench.figure import Figure
from bench.pair import VoidRun
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import User, numbered
from bench.wrk import Answers
from infrastructure import migrations

NAME = "decisions"
BATCH = 10_000
BATCHES = 20
"""Different ones: no part of the users is any warmer than the others."""
EVENTS = 2
"""Of each user: the stream opened, `product_updates` switched off."""
CONNECTIONS = 2
SENDER = replace(OURS, settings={"ROLE_SCOPES": "member=preferences:read"})


def measure(stage: Stage) -> list[Figure]:
    size = stage.size
    organization = numbered(0).organization
    members = [User(organization, numbered(number).name) for number in range(size.stored_users)]
    names = [user.name for user in members]
    chance = random.Random(20260426)
    batch = min(BATCH, len(names))
    questions = [_question(chance.sample(names, batch)) for _ in range(BATCHES)]
    users = stage.make_users("decisions", members[:1])
    many, one, get = (stage.work / f"{NAME}.{name}" for name in ("many", "one", "get"))
    many.write_text("".join(f"{question}\n" for question in questions))
    one.write_text(_question(names[:1]) + "\n")
    get.write_text("\n")
    with stage.database(NAME) as url:
        migrations.migrate(url)
        fill(url, members, EVENTS)
        with stage.trial(SENDER, url, users=users) as trial:
            address, token = trial.server.address, users.a_token

            def run(file: Path, connections: int) -> Answers:
                answers = wrk.ask(file, token, connections, size.seconds, address)
                if answers.refused or answers.broken or not answers.answered:
                    raise VoidRun(f"{answers.refused} refused, {answers.broken} broken of {answers.sent} requests")
                return answers

            _check(address, token, questions[0], batch)
            if size.warm_up:
                run(many, CONNECTIONS)
            rates = [run(many, CONNECTIONS).rate * batch for _ in range(size.rounds)]
            pairs = [(run(one, 1).p50, run(get, 1).p50) for _ in range(size.rounds)]
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    return [
        Figure(
            "decisions.rate", median(rates), f"{batch:,} of {len(names):,} users at once, {CONNECTIONS} connections"
        ),
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
