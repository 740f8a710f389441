"""Asks whether a broker acknowledges only messages that are on its disk. Only the monitoring page of each server says it."""

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final

from infrastructure.user_agent import USER_AGENT

PATIENCE: Final = 2.0
"""Seconds to wait for an answer."""

_LARGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Durability:
    """The answer of one server. `always`: it syncs every message before it acknowledges. None if it did not say; `reason` then says why."""

    server: str
    always: bool | None
    reason: str = ""


async def durability(monitoring_url: str) -> Durability:
    """Ask the server behind a monitoring address (`http://host:8222`)."""
    try:
        answer = json.loads(await asyncio.to_thread(_get, f"{monitoring_url.rstrip('/')}/varz"))
        return Durability(monitoring_url, bool(answer["jetstream"]["config"].get("sync_always", False)))
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return Durability(monitoring_url, None, f"{type(error).__name__}: {error}")


def _get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310 - the settings check the scheme
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - the same
        body: bytes = response.read(_LARGEST)
        return body
