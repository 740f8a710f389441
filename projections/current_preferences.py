"""A user's choices as of now. GET answers from this read model, and PATCH decides from it as a snapshot.

The database makes it, for whole sets of rows, with the function `fold_preferences` (docs/adr/0008). The append calls that function in its
own transaction, and a rebuild calls it from position 0. This is its row.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.catalogue import Choices


class CurrentPreferences(NamedTuple):
    """`version` counts the events of the stream, `modified_at` is the time of the last one (UTC).

    `key` is the person's key, under which the actors of this stream's next events are sealed. It travels with the row but the projection
    does not make it. It is None after the person was erased, and for streams older than sealing.
    """

    stream: UUID
    version: int
    choices: Choices
    modified_at: datetime
    key: bytes | None = None
