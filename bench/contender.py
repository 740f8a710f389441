"""The contenders: how each is started, and how its database is asked for what it has recorded."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.users import User
from domain.preferences import stream_id
from infrastructure.postgres import migrations

TOGGLE = "weekly_usage_digest"
"""The one that every PATCH of the load flips."""

PROGRAMS = Path(__file__).with_name("contenders")

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
_EMMETT = f"SELECT _id, (data->'email'->>'{TOGGLE}')::boolean FROM preferences WHERE _id = ANY (%s)"

# Current preferences that aren't what the last event of their stream says.
_OURS_INCONSISTENT = """
SELECT count(*)
FROM current_preferences c
JOIN LATERAL (SELECT *, convert_from(state, 'UTF8')::jsonb AS body
              FROM preferences_events WHERE originator_id = c.originator_id
              ORDER BY originator_version DESC LIMIT 1) e ON true
WHERE c.position > {after}
  AND (e.originator_version <> c.version OR e.notification_id <> c.position
       OR choices->((body->>'channel') || '.' || (body->>'toggle')) IS DISTINCT FROM body->'enabled')
"""
_EMMETT_INCONSISTENT = """
SELECT count(*)
FROM preferences p
JOIN LATERAL (SELECT * FROM emt_messages WHERE stream_id = p._id ORDER BY stream_position DESC LIMIT 1) e ON true
WHERE e.global_position > {after} AND p.data->'email'->(e.message_data->>'toggle') IS DISTINCT FROM e.message_data->'enabled'
"""


@dataclass(frozen=True)
class Log:
    """A contender's events: their table, the condition on a row that makes it a change, the columns of their position in the log and
    their version in their stream, the sequence of the positions, and the columns that a copy of an event must have, too."""

    table: str
    change: str
    position: str
    version: str
    sequence: str
    copied: str


@dataclass(frozen=True)
class Contender:
    """`choices`: the query for each user's last choice, by `key`; None where nothing is kept. `log`: None where there is none.
    `inconsistent`: the query for rows that aren't what the log says. `prepare` makes a database ready for it. `folder` is where it
    is started. `followed`: followers run beside the server. `packages`: the folder whose packages npm has to install first."""

    name: str
    command: tuple[str | Path, ...]
    choices: str | None = None
    key: Callable[[User], object] = lambda user: user.name
    log: Log | None = None
    inconsistent: str | None = None
    prepare: Callable[[str], object] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    folder: Path = Path(__file__).resolve().parent.parent
    followed: bool = False
    packages: tuple[Path, ...] = ()


def _program(name: str) -> tuple[str | Path, ...]:
    return sys.executable, "-m", f"bench.contenders.{name}"


_LOG = Log(
    table="preferences_events",
    change="topic = 'notification-preferences.toggled'",
    position="notification_id",
    version="originator_version",
    sequence="preferences_events_notification_id_seq",
    copied="originator_id, topic, state",
)
OURS = Contender(
    "ours",
    (Path(sys.executable).with_name("preferences"), "serve"),
    choices=_OURS,
    key=lambda user: stream_id(user.organization, user.name),
    log=_LOG,
    inconsistent=_OURS_INCONSISTENT,
    prepare=migrations.migrate,
    followed=True,
)
"""What `make run` starts. It has no setting but its database and its issuer."""
OURS_ALONE = replace(OURS, name="ours_alone", settings={"FOLLOWERS": "off"}, followed=False)
"""The server without followers, as it runs where `preferences follow` runs elsewhere."""
CRUD = Contender("crud", _program("crud"), choices=_CRUD)
NODE = Contender(
    "node",
    ("node", PROGRAMS / "node" / "crud.js"),
    choices=_CRUD,
    settings={"NODE_ENV": "production"},
    packages=(PROGRAMS / "node",),
)
EMMETT = replace(
    NODE,
    name="emmett",
    command=("node", PROGRAMS / "emmett" / "preferences.js"),
    choices=_EMMETT,
    key=lambda user: f"preferences:{user.organization}:{user.name}",
    log=Log(
        table="emt_messages",
        change="message_type = 'Toggled'",
        position="global_position",
        version="stream_position",
        sequence="emt_global_message_position",
        copied="stream_id, partition, message_kind, message_type, message_data, message_metadata, message_schema_version, message_id, "
        "transaction_id",
    ),
    inconsistent=_EMMETT_INCONSISTENT,
    packages=(PROGRAMS / "node", PROGRAMS / "emmett"),
)
TEXTBOOK = Contender(
    "textbook", _program("textbook"), choices=_TEXTBOOK, log=replace(_LOG, change="topic LIKE '%Toggled'")
)
CEILING = Contender("ceiling", _program("ceiling"))
SERVERS = (OURS, OURS_ALONE, CRUD, NODE, TEXTBOOK, EMMETT, CEILING)
