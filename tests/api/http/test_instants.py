"""Instants in a query."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.http.instants import Instant, shown

INSTANT = TypeAdapter(Instant)
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-03T12:00:00Z", NOON),
        ("2026-03-03t12:00:00z", NOON),
        ("2026-03-03 12:00:00Z", NOON),
        ("2026-03-03T12:00:00+00:00", NOON),
        ("2026-03-03T12:00:00-00:00", NOON),
        ("2026-03-03T14:30:00+02:30", NOON),
        ("2026-03-02T13:00:00-23:00", NOON),
        ("2026-03-03T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-03-03T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
    ],
)
def test_an_instant_is_read_in_utc(text: str, instant: datetime) -> None:
    read = INSTANT.validate_python(text)
    assert read == instant
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-03-03",
        "2026-03-03T12:00:00",
        "2026-03-03T12:00Z",
        "2026-03-03T12:00:00 00:00",  # a plus that was not escaped
        "2026-03-03T12:00:00+0000",
        "2026-03-03T12:00:00+00",
        "2026-03-03T12:00:00 Europe/Berlin",
        "2026-03-03T12:00:00.Z",
        "2026-03-03T12:00:00,5Z",
        "2026-02-30T12:00:00Z",
        "2026-03-03T24:00:01Z",
        "2026-03-03T12:60:00Z",
        "2026-03-03T12:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00Z",
        "1772539200",
        "\N{FULLWIDTH DIGIT TWO}026-03-03T12:00:00Z",
        " 2026-03-03T12:00:00Z",
        "2026-03-03T12:00:00Z\n",
    ],
)
def test_anything_else_is_refused_with_one_phrase(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        INSTANT.validate_python(text)
    assert [fault["msg"] for fault in refused.value.errors()] == ["must be a date and time with a zone, as in RFC 3339"]


def test_what_is_left_out_is_none() -> None:
    assert INSTANT.validate_python(None) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_shown_can_be_asked_for(instant: datetime) -> None:
    assert INSTANT.validate_python(shown(instant)) == instant
