"""A program that uses the eventsourcing library on the service's log, and may write it."""

from uuid import UUID

from eventsourcing.application import Application
from psycopg.conninfo import conninfo_to_dict

from domain.events import NotificationToggled
from tests.support.events import ADA, toggled


class Preferences(Application[UUID]):
    name = "preferences"


def environment_of(url: str) -> dict[str, str]:
    """The settings with which the library finds the log in this database."""
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts["dbname"],
        "POSTGRES_HOST": parts["host"],
        "POSTGRES_PORT": str(parts.get("port", 5432)),
        "POSTGRES_USER": parts["user"],
        "POSTGRES_PASSWORD": parts["password"],
    }


def write_as_library(url: str) -> None:
    """Append Ada's third event."""
    application = Preferences(environment_of(url))
    preferences = application.repository.get(ADA)
    fields = {**vars(toggled(3, "digest", False)), "timestamp": preferences.modified_on}
    preferences.trigger_event(NotificationToggled, **fields)
    application.save(preferences)
    application.close()
