"""What an error tells a client."""

from domain.errors import BeyondTheEnd


def test_a_reader_beyond_the_end_is_told_where_the_log_ends() -> None:
    assert BeyondTheEnd(406).details == {"after": "the log ends at position 406"}
