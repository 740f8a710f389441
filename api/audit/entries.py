"""The written forms of an entry of the audit log: JSON, a line of NDJSON, a row of CSV."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any, Final

import orjson

from api.http.instants import shown
from projections.audit_log import RESOURCE_TYPE, AuditEntry, Choice

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

COLUMNS: Final = (
    "id",
    "occurred_at",
    "actor_kind",
    "actor_label",
    "action",
    "resource_type",
    "resource_id",
    "channel",
    "toggle",
    "before",
    "after",
    "source",
    "reason",
    "request_id",
)
"""The columns of the CSV. They are a contract, so a new column goes to the end."""

# A spreadsheet takes a cell for a formula if it begins with one of these, in half or full width. A tab or line break may hide it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_json(entry: AuditEntry, *, payload: bool) -> dict[str, Any]:
    """The entry in the shape of the product. `payload` adds the recorded choices before and after, and the source."""
    document: dict[str, Any] = {
        "id": entry.id,
        "occurred_at": shown(entry.occurred_at),
        "actor": {"kind": entry.actor.kind, "label": entry.actor.label},
        "action": entry.action,
        "resource": {"type": RESOURCE_TYPE, "id": entry.user},
        "reason": None,
        "request_id": entry.request_id,
    }
    if payload:
        document["payload"] = {"before": entry.before, "after": entry.after, "source": entry.source}
    return document


def as_lines(entries: Iterable[AuditEntry], *, payload: bool) -> bytes:
    return b"".join(
        orjson.dumps(as_json(entry, payload=payload), option=orjson.OPT_APPEND_NEWLINE) for entry in entries
    )


def header() -> bytes:
    return as_csv([COLUMNS])


def as_rows(entries: Iterable[AuditEntry]) -> bytes:
    return as_csv(_row(entry) for entry in entries)


def _row(entry: AuditEntry) -> Sequence[str]:
    choice = entry.after or Choice("", "", None)
    before = entry.before.enabled if entry.before else None
    cells = (
        entry.id,
        shown(entry.occurred_at),
        entry.actor.kind,
        entry.actor.label,
        entry.action,
        RESOURCE_TYPE,
        entry.user,
        choice.channel,
        choice.toggle,
        _word(before),
        _word(choice.enabled),
        entry.source,
        "",
        entry.request_id,
    )
    return [_inert(cell) for cell in cells]


def _word(enabled: bool | None) -> str:
    return {None: "", True: "true", False: "false"}[enabled]


def _inert(cell: str) -> str:
    """The cell in a form that a spreadsheet always takes for text. Ids and labels come from others (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def as_csv(rows: Iterable[Sequence[object]]) -> bytes:
    """The rows as CSV by RFC 4180, in UTF-8."""
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
