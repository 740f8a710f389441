"""API keys of organizations and of the platform. The database has only a key's SHA-256; `create` alone returns the plain text."""

import hashlib
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from typing_extensions import override

from application.identity import ApiKey, ApiKeys
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

_SCOPE: Final = re.compile(r"[a-z_]+(:[a-z_]+)+")
_ALPHABET: Final = string.ascii_letters + string.digits
_FORM: Final = re.compile(r"am_live_[a-z0-9]{4}[A-Za-z0-9]{32}")


@dataclass(frozen=True, slots=True)
class ListedKey:
    """The parts of a key that may be shown. Times are in UTC, or None if it never happened. A key of the platform has no organization."""

    id: UUID
    organization: str | None
    label: str
    scopes: list[str]
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class PostgresApiKeys(ApiKeys):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("api_keys")

    @override
    async def find(self, key: str) -> ApiKey | None:
        # A text without the form of a key costs no round trip.
        if not _FORM.fullmatch(key):
            return None
        rows = await self._database.fetch_in_time(self._queries["find"], {"digest": _digest(key)})
        return ApiKey(rows[0][0], rows[0][1], rows[0][2], frozenset(rows[0][3])) if rows else None

    async def create(self, organization: str | None, label: str, scopes: Sequence[str]) -> str:
        """The new key in plain text, which is never shown again. Without an organization it is a key of the platform.

        Raises ValueError for a text that isn't a scope (`noun:verb`).
        """
        for scope in scopes:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(f"{scope!r} is not a scope: scopes are `noun:verb`, such as `audit:read`")
        prefix = "am_live_" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(4))
        key = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(32))
        await self._database.execute(
            self._queries["create"],
            {
                "id": uuid4(),
                "organization": organization,
                "label": label,
                "scopes": sorted(set(scopes)),
                "prefix": prefix,
                "digest": _digest(key),
            },
        )
        return key

    async def list(self, organization: str | None = None) -> list[ListedKey]:
        return [
            ListedKey(*row) for row in await self._database.fetch(self._queries["list"], {"organization": organization})
        ]

    async def revoke(self, key_id: UUID) -> bool:
        """False if there is no such key, or if it is already revoked."""
        return bool(await self._database.write(self._queries["revoke"], {"id": key_id}))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("ascii")).digest()
