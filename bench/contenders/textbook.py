"""The eventsourcing library as its manual shows it: an application, a repository, synchronous endpoints."""

import json
import os
from typing import Any
from uuid import UUID, uuid5

import psycopg
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI

from bench.contenders.body import DEFAULTS, PATH, Changes
from bench.contenders.caller import Caller, Verified
from bench.contenders.process import serve

STREAMS = UUID("7d6a3b52-0b0c-4d3e-8f43-3f1c6a8f8e05")


class UserPreferences(Aggregate):
    @event("Opened")
    def __init__(self, organization: str, user: str) -> None:
        self.organization = organization
        self.user = user
        self.email: dict[str, bool] = {}

    @staticmethod
    def create_id(organization: str, user: str) -> UUID:
        return uuid5(STREAMS, json.dumps([organization, user]))

    def choose(self, toggle: str, enabled: bool) -> None:
        if self.email.get(toggle) is not enabled:
            self.record(toggle, enabled)

    @event("Toggled")
    def record(self, toggle: str, enabled: bool) -> None:
        self.email[toggle] = enabled


class Preferences(Application[UUID]):
    def read(self, caller: Caller) -> dict[str, bool]:
        try:
            preferences = self.repository.get(UserPreferences.create_id(caller.organization, caller.user))
        except AggregateNotFoundError:
            return DEFAULTS
        return {**DEFAULTS, **preferences.email}

    def change(self, caller: Caller, choices: dict[str, bool]) -> dict[str, bool]:
        try:
            preferences = self.repository.get(UserPreferences.create_id(caller.organization, caller.user))
        except AggregateNotFoundError:
            preferences = UserPreferences(caller.organization, caller.user)
        for toggle, enabled in choices.items():
            preferences.choose(toggle, enabled)
        self.save(preferences)
        return {**DEFAULTS, **preferences.email}


def environment(url: str) -> dict[str, str]:
    """The library's settings for a database that is given as a URL. All others stay at its defaults."""
    place = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(place["dbname"]),
        "POSTGRES_HOST": str(place["host"]),
        "POSTGRES_PORT": str(place["port"]),
        "POSTGRES_USER": str(place["user"]),
        "POSTGRES_PASSWORD": str(place["password"]),
    }


def create_app() -> FastAPI:
    preferences = Preferences(environment(os.environ["DATABASE_URL"]))
    app = FastAPI()

    @app.get(PATH)
    def read(caller: Verified) -> Any:
        return {"success": True, "data": {"email": preferences.read(caller)}}

    @app.patch(PATH)
    def change(caller: Verified, changes: Changes) -> Any:
        choices = changes.email.model_dump(exclude_none=True)
        return {"success": True, "data": {"email": preferences.change(caller, choices)}}

    return app


if __name__ == "__main__":
    serve(create_app())
