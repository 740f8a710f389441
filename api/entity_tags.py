"""Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1)."""

import re
from hashlib import blake2b
from typing import Final

from starlette.types import Scope

from application.state import State

_TAG: Final = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def entity_tag(state: State, body: bytes) -> bytes:
    """A strong tag. It changes with every recorded choice, and with the answer where a default changed.

    The stream is part of it: a browser keeps one answer per URL, and must not take one organization's for another's.
    """
    digest = blake2b(state.stream.bytes, digest_size=12)
    digest.update(state.version.to_bytes(8, "big"))
    digest.update(body)
    return b'"%s"' % digest.hexdigest().encode()


def condition(scope: Scope, name: bytes) -> bytes | None:
    """The value of a conditional header; several of the same name are one list."""
    values = [value for header, value in scope["headers"] if header == name]
    return b", ".join(values) if values else None


def matches(condition: bytes, tag: bytes, *, weak: bool) -> bool:
    """Whether `tag` is among those listed. `If-None-Match` compares weakly, `If-Match` strongly."""
    if condition.strip() == b"*":
        return True
    return any(value == tag and (weak or not is_weak) for is_weak, value in _TAG.findall(condition))
