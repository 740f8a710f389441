"""A leaf of the Merkle tree: the exact bytes of one stored event, bound to its position in the log.

The layout is that of a row in PostgreSQL's binary COPY format, so a verifier can hash a row without taking it apart: the number of fields
as 16 bits, then for each field its length as 32 bits and its bytes. All numbers are big-endian.

    6 | 8 position | 16 stream | 8 version | n topic, UTF-8 | n state | n sealed actor
"""

import struct
from typing import Final, NamedTuple
from uuid import UUID

_HEAD: Final = struct.Struct(">hiqi16siqi")
_LENGTH: Final = struct.Struct(">i")

POSITION: Final = slice(6, 14)
"""The place of the position in a leaf."""


class Leaf(NamedTuple):
    position: int
    stream: UUID
    version: int
    topic: str
    state: bytes
    sealed_actor: bytes = b""

    @property
    def data(self) -> bytes:
        topic = self.topic.encode()
        head = _HEAD.pack(6, 8, self.position, 16, self.stream.bytes, 8, self.version, len(topic))
        state, actor = _LENGTH.pack(len(self.state)), _LENGTH.pack(len(self.sealed_actor))
        return b"".join((head, topic, state, self.state, actor, self.sealed_actor))


def moved(data: bytes, position: int) -> bytes:
    """The same event at another position."""
    return data[:6] + position.to_bytes(8, "big") + data[14:]
