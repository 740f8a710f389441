r"""A copy of the table `person_keys` in a file, as psql's `\copy person_keys to FILE` writes it: as text or as CSV."""

import re
from pathlib import Path
from typing import Final
from uuid import UUID

_ROW: Final = re.compile(
    rb'"?(?P<stream>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"?[,\t]"?[0-9]+"?[,\t]"?\\{1,2}x(?P<key>[0-9a-f]{64})"?'
)
_HEADER: Final = re.compile(rb'"?originator_id"?[,\t].*')


class NotACopy(Exception):
    """One sentence on why a file is not a copy of the keys."""


def read(file: Path) -> dict[UUID, bytes]:
    """The keys in the file, by stream. Raises `NotACopy`, and `OSError` if the file can't be read."""
    keys: dict[UUID, bytes] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            row = _ROW.fullmatch(line.rstrip(b"\r\n"))
            if row is not None:
                keys[UUID(row["stream"].decode())] = bytes.fromhex(row["key"].decode())
            elif line.strip() and not (number == 1 and _HEADER.match(line)):
                raise NotACopy(f"line {number} of {file} is no row of person_keys: write it with psql's \\copy")
    return keys
