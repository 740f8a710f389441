"""What counts as the `traceparent` of a request: https://www.w3.org/TR/trace-context/, section 3.2."""

import pytest

from api.http.trace_context import received
from tests.support.events import TRACEPARENT

TRACE, SPAN = TRACEPARENT[3:35], TRACEPARENT[36:52]


def of(*values: str) -> str | None:
    headers = [(b"host", b"test"), (b"tracestate", b"congo=t61rcWkgMzE")]
    return received([*headers, *((b"traceparent", value.encode("latin-1")) for value in values), (b"accept", b"*/*")])


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (TRACEPARENT, TRACEPARENT),
        (f" {TRACEPARENT}\t", TRACEPARENT),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        # Flags that version 00 doesn't have
        (f"00-{TRACE}-{SPAN}-03", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-fe", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-01"),
        # Later versions
        (f"01-{TRACE}-{SPAN}-01", TRACEPARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", TRACEPARENT),
        (f"cc-{TRACE}-{SPAN}-01-", TRACEPARENT),
        (f"fe-{TRACE}-{SPAN}-00-\u00ff\n", f"00-{TRACE}-{SPAN}-00"),
    ],
)
def test_a_valid_one_is_read_as_version_00_with_its_flag_sampled(value: str, read: str) -> None:
    assert of(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        "00-",
        TRACEPARENT[:-1],
        TRACEPARENT + "0",
        TRACEPARENT + "-",
        TRACEPARENT + "-what-the-future-will-be-like",
        TRACEPARENT + "\n",
        TRACEPARENT.upper(),
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-later",
        f"0-{TRACE}-{SPAN}-01",
        f"0x-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[:-1]}\u00e9-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.later",
        f"cc-{TRACE}-{SPAN}-012",
        f"{TRACEPARENT}, {TRACEPARENT}",
    ],
)
def test_anything_else_is_none(value: str) -> None:
    assert of(value) is None


def test_without_the_header_there_is_none() -> None:
    assert of() is None
    assert received([]) is None


def test_of_several_none_counts() -> None:
    assert of(TRACEPARENT, TRACEPARENT) is None
    assert of("", TRACEPARENT) is None
