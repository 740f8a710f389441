"""The key under which the service hands on what a user chose in an organization: `ce-partitionkey`.

It can be computed from organization and user, before and after an erasure. So a sender looks up by the key,
and needs no table from names to keys, which it would have to forget.
"""

import json
from uuid import UUID, uuid5

STREAMS = UUID("b2a5e1f2-6d0b-5a6f-9c5e-6f5c8d1f3a77")


def pseudonym(organization: str | None, user: str) -> str:
    """UUID version 5 of the JSON array of both, in this namespace.

    To the byte: no blanks, `null` without an organization, and every character beyond ASCII as `\\uXXXX` in lower-case hexadecimal,
    a pair of them beyond U+FFFF. For example `["org_math","user_ada"]`, `[null,"user_bob"]`, `["org_z\\u00fcrich","user_ada"]`.
    """
    return str(uuid5(STREAMS, json.dumps([organization, user], separators=(",", ":"))))
