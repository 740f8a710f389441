"""Fetches a key set over HTTP."""

import asyncio
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO, Final
from urllib.parse import urlsplit

from infrastructure.user_agent import USER_AGENT

LARGEST_SET: Final = 256 * 1024  # bytes
PATIENCE: Final = 5.0  # seconds without an answer


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects only within the same host. The issuer's host speaks for its keys, but a host that it redirects to does not."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.netloc != before.netloc or after.scheme not in {before.scheme, "https"}:
            fp.close()
            raise urllib.error.URLError("redirected to another host")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


async def fetch_over_http(url: str) -> bytes:
    """Get `url` without blocking the event loop. Raises `OSError`, `HTTPException` or `ValueError`."""

    def get() -> bytes:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked in RemoteKeySet
        opener = urllib.request.build_opener(_SameHost)
        try:
            with opener.open(request, timeout=PATIENCE) as response:
                body: bytes = response.read(LARGEST_SET + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise
        if len(body) > LARGEST_SET:
            raise ValueError("larger than a key set may be")
        return body

    return await asyncio.to_thread(get)
