"""What a user chose, as of now: the read model that GET answers from, and the snapshot that PATCH decides from.

The database projects it, set-based, with one function for the append's own transaction and for a rebuild from position 0:
`fold_preferences` (docs/adr/0008). Here is its row.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.catalogue import Choices


class CurrentPreferences(NamedTuple):
    """`version` counts the events of the stream, `modified_at` is the time of the last one (UTC).

    `key` belongs to the row while it is known, and is no part of the projection: the person's key, under which the actors
    of this stream's next events are sealed. It is None once the person was erased, and for streams older than sealing.
    """

    stream: UUID
    version: int
    choices: Choices
    modified_at: datetime
    key: bytes | None = None
