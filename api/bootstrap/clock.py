"""The real time. Whoever needs it is handed it, so that a test can hand over another."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
