"""The forms that the log is replayed into. They stand in the help of `replay`, which loads nothing that replays."""

from enum import StrEnum


class Form(StrEnum):
    """What the log can be replayed into."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    NATS = "nats"
