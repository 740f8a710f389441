"""Bodies of PATCH."""

import json
from collections.abc import AsyncIterator
from typing import Any

DIGEST_ON = b'{"email": {"weekly_usage_digest": true}}'


def toggles(**values: Any) -> bytes:
    return json.dumps({"email": values}).encode()


def padded(length: int) -> bytes:
    return DIGEST_ON.ljust(length)


async def in_chunks(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
