"""The head of a request as bytes: its size, and its form without an offered upgrade."""

from collections.abc import Iterable, Sequence

Field = tuple[bytes, bytes]


def head_size(address: bytes, fields: Sequence[Field]) -> int:
    """Bytes of the address and of all fields, including their separators."""
    return len(address) + sum(len(name) + len(value) + 4 for name, value in fields)


def without_upgrade(method: bytes, address: bytes, version: str, fields: Iterable[Field]) -> bytes:
    kept = b"".join(b"%b: %b\r\n" % field for field in fields if field[0] != b"upgrade")
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, address, version.encode(), kept)
