"""A log to look at: a service of its own, in a folder of its own, whose users choose this and that over its API.

All of it happens now, as nobody can choose yesterday; so its chart has one week.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

COMMAND = Path(sys.executable).with_name("preferences")

USERS = 4
CHOICES = 16
"""Of each user."""

OPT_OUTS = {"product_updates": 0.8, "delivery_alerts": 0.2, "billing_receipts": 0.1, "weekly_usage_digest": 0.4}
"""How likely a choice about a toggle is a no."""

# With these the commands would find somebody's real service.
NOT_OURS = ("DATABASE_URL", "CLERK_")


def settings(folder: Path) -> dict[str, str]:
    """The environment in which commands mean the demo's service."""
    own = {"DATA_DIR": str(folder), "PORT": "0", "LOG_LEVEL": "error", "FOLLOWERS": "off", "CHECKPOINT_INTERVAL": "0"}
    return {**{name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}, **own}


def make_log(environment: dict[str, str]) -> None:
    """Raises OSError."""
    with _service(environment) as url, ThreadPoolExecutor(2) as some:
        tokens = list(some.map(lambda number: _token(environment, f"user_{number}"), range(USERS)))
        chance = random.Random(1)  # noqa: S311 - the same demo for everybody
        for token in tokens * CHOICES:
            toggle = chance.choice([*OPT_OUTS])
            _choose(url, token, toggle, chance.random() >= OPT_OUTS[toggle])


@contextmanager
def _service(environment: dict[str, str]) -> Iterator[str]:
    """Its address, which it prints when it listens."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            if found := re.search(r" on (http://\S+)", line):
                break
            said += line
        else:
            raise OSError(f"`preferences serve` didn't start: {said.strip()}")
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


def _token(environment: dict[str, str], user: str) -> str:
    command: list[str | Path] = [COMMAND, "token", "--user", user, "--org", "org_demo"]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603 - our own command


def _choose(url: str, token: str, toggle: str, enabled: bool) -> None:
    request = Request(  # noqa: S310 - the address of the service that we have started
        f"{url}/v1/me/notifications",
        data=json.dumps({"email": {toggle: enabled}}).encode(),
        headers={"Authorization": f"Bearer {token}"},
        method="PATCH",
    )
    with urlopen(request, timeout=30):  # noqa: S310 - our own service
        pass
