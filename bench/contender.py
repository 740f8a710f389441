"""Who is measured: how each is started, and how to ask its database what it has recorded."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.users import User
from domain.preferences import stream_id
from infrastructure.postgres import migrations

TOGGLE = "weekly_usage_digest"
"""The one that every PATCH of the load flips."""

# User, under the key that the table knows them by, and what was chosen last. Who never chose may be absent.
_OURS = f"SELECT originator_id, (choices->>'email.{TOGGLE}')::boolean FROM current_preferences WHERE originator_id = ANY (%s)"
_CRUD = f"SELECT user_id, {TOGGLE} FROM preferences WHERE user_id = ANY (%s)"
_TEXTBOOK = r"""
SELECT opened.user_id, toggled.enabled
FROM (SELECT originator_id, convert_from(state, 'UTF8')::json->>'user' AS user_id
      FROM preferences_events WHERE originator_version = 1) opened
JOIN (SELECT DISTINCT ON (originator_id)
             originator_id, (convert_from(state, 'UTF8')::json->>'enabled')::boolean AS enabled
      FROM preferences_events WHERE topic LIKE '%%Toggled'
      ORDER BY originator_id, originator_version DESC) toggled USING (originator_id)
WHERE opened.user_id = ANY (%s)
"""

# Current preferences that aren't what the last event of their stream says.
_INCONSISTENT = """
SELECT count(*)
FROM current_preferences c
JOIN LATERAL (SELECT *, convert_from(state, 'UTF8')::jsonb AS body
              FROM preferences_events WHERE originator_id = c.originator_id
              ORDER BY originator_version DESC LIMIT 1) e ON true
WHERE c.position > {after}
  AND (e.originator_version <> c.version OR e.notification_id <> c.position
       OR choices->((body->>'channel') || '.' || (body->>'toggle')) IS DISTINCT FROM body->'enabled')
"""


@dataclass(frozen=True)
class Contender:
    """`choices`: the query for each user's last choice, by `key`; None where nothing is kept. `events`: the condition on a row of
    `preferences_events` that makes it a change; None where there is no log. `inconsistent`: the query for rows that
    aren't what the log says. `prepare` makes a database ready for it. `folder` is where it is started."""

    name: str
    command: tuple[str | Path, ...]
    choices: str | None = None
    key: Callable[[User], object] = lambda user: user.name
    events: str | None = None
    inconsistent: str | None = None
    prepare: Callable[[str], object] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    folder: Path = Path(__file__).resolve().parent.parent


def _program(name: str) -> tuple[str | Path, ...]:
    return sys.executable, "-m", f"bench.contenders.{name}"


OURS = Contender(
    "ours",
    (Path(sys.executable).with_name("preferences"), "serve"),
    choices=_OURS,
    key=lambda user: stream_id(user.organization, user.name),
    events="topic = 'notification-preferences.toggled'",
    inconsistent=_INCONSISTENT,
    prepare=migrations.migrate,
)
CRUD = Contender("crud", _program("crud"), choices=_CRUD)
TEXTBOOK = Contender("textbook", _program("textbook"), choices=_TEXTBOOK, events="topic LIKE '%Toggled'")
CEILING = Contender("ceiling", _program("ceiling"))
SERVERS = (OURS, CRUD, TEXTBOOK, CEILING)
