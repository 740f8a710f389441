"""Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).

A tag names a state of the preferences, not the bytes of an answer. A proxy that compresses the answer makes the tag weak
(nginx) or adds the coding to it (Apache). The client then sends this changed tag as the condition of its next request. The
changed tag still names the state, and `If-Match` only prevents one change from overwriting another. So such a tag still matches.
"""

import re
from hashlib import blake2b
from typing import Final

from starlette.types import Scope

from application.preferences.state import State

_TAG: Final = re.compile(rb'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_CODING: Final = re.compile(rb"(?:[-;:](?:gzip|br|zstd|deflate))+$")
"""The endings that proxies add: `-gzip` (Apache, Envoy), `;gzip` (Jetty), `:gzip` (modules of Varnish), `-br`, `-zstd`.

None of our tags ends like this."""


def entity_tag(state: State, body: bytes) -> bytes:
    """A strong tag. It changes with every recorded choice, and also if a changed default changes the answer.

    The stream is part of it, because a browser keeps one answer per URL. It must not use the answer of one organization for another.
    """
    named = state.stream.bytes + state.version.to_bytes(8, "big") + body
    return b'"%s"' % blake2b(named, digest_size=12).hexdigest().encode()


def tag_of_all_alike(body: bytes) -> bytes:
    """A strong tag for an answer that is the same for every caller."""
    return b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode()


def condition(scope: Scope, name: bytes) -> bytes | None:
    """The value of a conditional header. Several headers of the same name are joined to one list."""
    values = [value for header, value in scope["headers"] if header == name]
    return b", ".join(values) if values else None


def matches(condition: bytes, tag: bytes) -> bool:
    """Whether the condition lists the state that `tag` names. Tags that a proxy has changed count as well."""
    if condition.strip() == b"*":
        return True
    state = tag[1:-1]
    return any(value == state or _CODING.sub(b"", value) == state for value in _TAG.findall(condition))
