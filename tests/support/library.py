"""A program of the eventsourcing library that writes the log itself."""

from uuid import UUID

from eventsourcing.application import Application
from psycopg.conninfo import conninfo_to_dict

from domain.events import NotificationToggled
from tests.support.events import ADA, toggled


class Preferences(Application[UUID]):
    name = "preferences"


def library(url: str) -> Preferences:
    parts = conninfo_to_dict(url)
    return Preferences(
        {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts["dbname"],
            "POSTGRES_HOST": parts["host"],
            "POSTGRES_PORT": str(parts.get("port", 5432)),
            "POSTGRES_USER": parts["user"],
            "POSTGRES_PASSWORD": parts["password"],
        }
    )


def write_as_library(url: str) -> None:
    application = library(url)
    preferences = application.repository.get(ADA)
    fields = {**vars(toggled(3, "digest", False)), "timestamp": preferences.modified_on}
    preferences.trigger_event(NotificationToggled, **fields)
    application.save(preferences)
    application.close()
