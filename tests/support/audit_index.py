"""The index of the audit log as it is stored, and as it has to be."""

from typing import Any

import psycopg

_INDEXED = (
    "SELECT position, occurred_at, originator_id, organization, action, channel, toggle, enabled, source, actor_kind "
    "FROM audit_entries LEFT JOIN audit_classes USING (class) ORDER BY position"
)
_DUE = "SELECT * FROM audit_rows(0, (SELECT position FROM followers WHERE name = 'audit-index')) ORDER BY position"
_OWNED = (
    "SELECT e.notification_id, convert_from(e.state, 'UTF8')::jsonb ->> 'organization', c.organization "
    "FROM preferences_events e JOIN audit_entries i ON i.position = e.notification_id JOIN audit_classes c USING (class)"
)


def differences(url: str) -> list[tuple[Any, ...]]:
    """The rows that stand in the index alone, or only in what the log makes of it up to where the index has come."""
    with psycopg.connect(url) as connection:
        indexed, due = (connection.execute(statement).fetchall() for statement in (_INDEXED, _DUE))
    return sorted({*indexed} ^ {*due}, key=str) or ([("twice",)] if len(indexed) != len(due) else [])


def foreign(url: str) -> list[tuple[Any, ...]]:
    """Where the index shows an organization the event of another one: position, whose it is, to whom it is shown."""
    with psycopg.connect(url) as connection:
        return [row for row in connection.execute(_OWNED).fetchall() if row[1] != row[2]]
