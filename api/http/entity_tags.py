"""Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).

A tag names a state of the preferences, not the bytes of an answer. A proxy that compresses the answer makes the tag weak
(nginx) or adds the coding to it (Apache), and hands the result on as the condition of the next request. Both still name the
state, and `If-Match` is here to keep one change from overwriting another, so neither makes it fail.
"""

import re
from hashlib import blake2b
from typing import Final

from starlette.types import Scope

from application.preferences.state import State

_TAG: Final = re.compile(rb'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_CODING: Final = re.compile(rb"(?:[-;:](?:gzip|br|zstd|deflate))+$")
"""What proxies add: `-gzip` (Apache, Envoy), `;gzip` (Jetty), `:gzip` (Varnish's modules), `-br`, `-zstd`. No tag of ours ends so."""


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


def matches(condition: bytes, tag: bytes) -> bool:
    """Whether the state that `tag` names is among those that the condition lists, whatever a proxy has made of it."""
    if condition.strip() == b"*":
        return True
    state = tag[1:-1]
    return any(value == state or _CODING.sub(b"", value) == state for value in _TAG.findall(condition))
