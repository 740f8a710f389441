"""The text of a checkpoint."""

from datetime import UTC, datetime

import pytest

from domain.checkpoint import Checkpoint

CHECKPOINT = Checkpoint("example.com/log", 20852163, b"\x07" * 32, 30_000_000, datetime(2026, 3, 3, 12, tzinfo=UTC))
TEXT = """example.com/log
20852163
BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=
position 30000000
time 2026-03-03T12:00:00+00:00
"""


def test_it_is_written_in_the_form_that_transparency_logs_share() -> None:
    assert CHECKPOINT.text == TEXT
    assert Checkpoint.parse(TEXT) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "more\n",
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "0"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("BwcHBwc=", "BwcHBwd="),
        TEXT.replace("BwcHBwc=", "Bwc="),
        TEXT.replace("2026", "26"),
        TEXT.replace("+00:00", "Z"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Checkpoint.parse(text)
