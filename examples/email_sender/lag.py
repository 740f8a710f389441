"""How far the relay is behind: a stream that is quiet because nobody chooses looks like one whose relay has died."""

import asyncio
import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from examples.email_sender.user_agent import USER_AGENT

ANSWER_WITHIN = 2.0


async def relay_lag(service: str) -> float:
    """Seconds, as GET /readyz tells. Raises OSError."""
    return await asyncio.to_thread(_asked, f"{service.rstrip('/')}/readyz")


async def no_lag() -> float:
    """For a sender that trusts the stream to be up to date."""
    return 0.0


def _asked(url: str) -> float:
    request = Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310 - the operator's own address
    try:
        with urlopen(request, timeout=ANSWER_WITHIN) as answer:  # noqa: S310 - the same
            followers = json.load(answer)["data"].get("followers", [])
    except HTTPError as error:
        raise OSError(f"{url} answers {error.code}") from None
    for follower in followers:
        if follower["name"] == "relay":
            return float(follower["lag_seconds"])
    raise OSError(f"{url} knows of no relay")
