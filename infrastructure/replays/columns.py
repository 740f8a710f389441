"""The columns of an event in Parquet. docs/replay.md has the rule for a new one: it goes to the end, and may be null."""

from typing import Any, Final

import orjson
import pyarrow as pa

from application.log import Cleared
from projections.cloud_events import cloud_event

_WORD: Final = pa.dictionary(pa.int32(), pa.string())
"""For columns in which a few strings are repeated often."""

_FIELDS: Final = [
    pa.field("position", pa.int64(), nullable=False),
    pa.field("id", pa.string(), nullable=False),
    pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("type", _WORD, nullable=False),
    pa.field("stream", pa.string(), nullable=False),
    pa.field("version", pa.int64(), nullable=False),
    pa.field("subject", pa.string()),
    pa.field("organization", _WORD),
    pa.field("channel", _WORD),
    pa.field("toggle", _WORD),
    pa.field("enabled", pa.bool_()),
    pa.field("previous", pa.bool_()),
    pa.field("actor_kind", _WORD),
    pa.field("actor_label", pa.string()),
    pa.field("source", _WORD, nullable=False),
    pa.field("request_id", pa.string(), nullable=False),
    pa.field("catalogue_version", pa.int32(), nullable=False),
    pa.field("channels", pa.string()),
    pa.field("previous_end", pa.int64()),
    pa.field("traceparent", pa.string()),
]

# pandas reads a boolean column with nulls as objects, on which `~` does not work, unless the file names its own type.
_NULLABLE: Final = [
    {"name": field.name, "field_name": field.name, "pandas_type": "bool", "numpy_type": "boolean", "metadata": None}
    for field in _FIELDS
    if field.type == pa.bool_()
]
_PANDAS: Final = {"index_columns": [], "column_indexes": [], "columns": _NULLABLE, "pandas_version": "1.0.0"}

SCHEMA: Final = pa.schema(_FIELDS, {"pandas": orjson.dumps(_PANDAS)})


def row(recorded: Cleared) -> dict[str, Any]:
    """The public data of an event, as columns. The catalogue's channels are JSON: they are one value in one row of a million."""
    event = cloud_event(recorded.position, recorded.event)
    data = event["data"]
    actor = data.get("actor", {})
    channels = data.get("channels")
    return {
        **data,
        "position": recorded.position,
        "id": event["id"],
        "time": recorded.event.timestamp,
        "type": event["type"],
        "stream": event["partitionkey"],
        "subject": event.get("subject"),
        "traceparent": event.get("traceparent"),
        "actor_kind": actor.get("kind"),
        "actor_label": actor.get("label"),
        "channels": None if channels is None else orjson.dumps(channels).decode(),
    }
