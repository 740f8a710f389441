"""The daily counts of the audit index, said a second time: over the log in Python, and over the entries in one statement."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import psycopg

from application.audit.filter import AuditFilter
from application.audit.summary import DayCount
from application.log import Recorded
from domain.events import NotificationToggled
from tests.support.audit import fits

_WRONG = """
SELECT class, day, c.entries, e.entries
FROM audit_daily_counts c
FULL JOIN (
    SELECT class, (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS entries FROM audit_entries
    WHERE NOT EXISTS (SELECT FROM audit_uncounted u WHERE position > u.after AND position <= u.up_to)
    GROUP BY class, day
) e USING (class, day)
WHERE c.entries IS DISTINCT FROM e.entries
ORDER BY class, day
"""


def by_day(log: Sequence[Recorded], organization: str, wanted: AuditFilter) -> list[DayCount]:
    counts: Counter[tuple[str, str, str, str, bool]] = Counter()
    for recorded in log:
        event = recorded.event
        if isinstance(event, NotificationToggled) and fits(recorded, organization, wanted):
            day = event.timestamp.astimezone(UTC).date().isoformat()
            counts[day, event.channel, event.toggle, event.source, event.enabled] += 1
    return [
        DayCount(*kind, counts[*kind, True], counts[*kind, False])
        for kind in sorted({(day, channel, toggle, source) for day, channel, toggle, source, _ in counts})
    ]


def wrong_counts(url: str) -> list[tuple[Any, ...]]:
    """Class, day, what is counted, and what is right, wherever these differ."""
    with psycopg.connect(url) as connection:
        return connection.execute(_WRONG).fetchall()
