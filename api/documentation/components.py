"""The named schemas of /openapi.json. Generated clients name their types after them.

An answer may get new fields at any time, so its schemas allow unknown fields. A request with an unknown field is refused, so
its schemas are closed. A boolean or a number is never a `const`, because client generators turn that into a string.
"""

from typing import Final

from api.audit import evidence_description
from api.decisions import description as decisions_description
from api.feed import cloud_event_description
from api.http.errors import STATUS
from api.schemas import COUNT, ULID_SCHEMA, Json, complete, reference
from domain.catalogue import Catalogue

SUCCESS: Final[Json] = {"type": "boolean", "description": "true; an error has false."}

_ERROR: Final[Json] = {
    "type": "object",
    "required": ["success", "error"],
    "properties": {
        "success": {"type": "boolean", "description": "false; every other answer has true."},
        "error": {
            "type": "object",
            "required": ["code", "message", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "Stable; safe to branch on.", "enum": sorted(STATUS)},
                "message": {"type": "string", "description": "For people; may change."},
                "details": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Where a field is at fault: its dotted path, and what is wrong with it.",
                },
                "request_id": {**ULID_SCHEMA, "description": "The one in `X-Request-Id`."},
            },
        },
    },
}
_WORDS: Final[Json] = {
    "title": {"type": "string", "description": "For people."},
    "description": {"type": "string", "description": "A sentence or two for people; may be empty."},
}
_FINDING: Final[Json] = {"type": "string", "enum": ["ok"]}
_FOLLOWER: Final[Json] = {
    "type": "object",
    "required": ["name", "state", "position", "lag_events", "lag_seconds"],
    "properties": {
        "name": {"type": "string"},
        "state": {"type": "string", "enum": ["running", "not running", "paused", "failed"]},
        "position": {**COUNT, "description": "Of the last event that it has handled."},
        "lag_events": {**COUNT, "description": "How many it has yet to handle; exact up to 10,000."},
        "lag_seconds": {
            "type": "number",
            "minimum": 0,
            "description": "How long ago the first of them was recorded.",
        },
        "failed_position": {**COUNT, "description": "Of the event that it can't handle."},
    },
}


def components(catalogue: Catalogue) -> Json:
    return {
        "ErrorAnswer": _ERROR,
        "Preferences": preferences(catalogue),
        "MyPreferencesAnswer": _answer(reference("Preferences")),
        "PreferencesChange": preferences_change(catalogue),
        "CatalogueAnswer": _answer(reference("Catalogue")),
        "Catalogue": _catalogue(),
        "HealthAnswer": _answer(_findings("process")),
        "ReadinessAnswer": _answer(_readiness()),
        "Follower": _FOLLOWER,
        "DecisionsAnswer": _answer(reference("Decisions")),
        **evidence_description.components(),
        **decisions_description.components(catalogue),
        **cloud_event_description.components(),
    }


def preferences(catalogue: Catalogue) -> Json:
    """All toggles, resolved."""
    channels = {
        channel.name: complete(
            {
                toggle.name: {"type": "boolean", "description": f"Default: {str(toggle.default).lower()}."}
                for toggle in channel.visible
            }
        )
        for channel in catalogue.channels
        if any(channel.visible)
    }
    return complete(channels)


def preferences_change(catalogue: Catalogue) -> Json:
    """A strict partial document: any subset of the toggles, with booleans, and nothing else."""
    return _partial(
        {
            channel.name: _partial({toggle.name: {"type": "boolean"} for toggle in channel.visible})
            for channel in catalogue.channels
        }
    )


def _catalogue() -> Json:
    toggle = complete(
        {
            "name": {"type": "string", "description": "The key under which preferences have it."},
            **_WORDS,
            "default": {"type": "boolean", "description": "What a user gets who has not chosen."},
            "mandatory": {"type": "boolean", "description": "Always sent; no user can change it."},
        }
    )
    channel = complete(
        {
            "name": {"type": "string", "description": "The key under which preferences have it."},
            **_WORDS,
            "toggles": {"type": "array", "items": toggle},
        }
    )
    return complete(
        {
            "version": {"type": "integer", "minimum": 1, "description": "Events name it as `catalogue_version`."},
            "channels": {"type": "array", "items": channel},
        }
    )


def _readiness() -> Json:
    """The findings, and the followers of the log if the database answered in time."""
    schema = _findings("database", "migrations", "catalogue", "keys")
    schema["properties"]["followers"] = {"type": "array", "items": reference("Follower")}
    return schema


def _findings(*names: str) -> Json:
    return complete(dict.fromkeys(names, _FINDING))


def _answer(data: Json) -> Json:
    return complete({"success": SUCCESS, "data": data})


def _partial(properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties}
