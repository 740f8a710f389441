"""The ids of many streams at once are those of each alone."""

from hypothesis import given
from hypothesis import strategies as st

from domain.preferences import stream_id, stream_keys

TEXT = st.text(st.characters(), max_size=30)
"""Any character, the halves of surrogate pairs too."""


@given(st.none() | TEXT, st.lists(TEXT))
def test_the_keys_of_many_streams_are_their_ids(organization: str | None, users: list[str]) -> None:
    assert stream_keys(organization, users) == [stream_id(organization, user).bytes for user in users]
