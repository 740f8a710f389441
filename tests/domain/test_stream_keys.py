"""The ids of streams are version 5 UUIDs, as the standard library makes them, for each alone and for many at once."""

import json
from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain.preferences import STREAMS, stream_id, stream_keys

TEXT = st.text(st.characters(), max_size=30)
"""Any character, the halves of surrogate pairs too."""


@given(st.none() | TEXT, st.lists(TEXT))
def test_the_keys_of_streams_are_their_ids(organization: str | None, users: list[str]) -> None:
    ids = [uuid5(STREAMS, json.dumps([organization, user], separators=(",", ":"))) for user in users]
    assert [stream_id(organization, user) for user in users] == ids
    assert stream_keys(organization, users) == [stream.bytes for stream in ids]
