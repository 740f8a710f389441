"""The schemas of the events of the feed, one for each type. `docs/schemas` has those of `data` as files."""

from typing import Final

from api.schemas import REQUEST_ID_EXAMPLE, ULID, Json, complete, reference
from domain.events import (
    CataloguePublished,
    Event,
    LogContinued,
    NotificationToggled,
    PreferencesErased,
    PreferencesOpened,
)
from domain.provenance import Source
from projections.cloud_events import SCHEMAS, SOURCE, TYPES
from projections.shown_actor import ActorKind

EXAMPLE: Final[Json] = {
    "specversion": "1.0",
    "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
    "source": SOURCE,
    "type": "notification-preferences.toggled.v1",
    "time": "2026-04-26T12:00:00.123456Z",
    "sequence": "00000000000000000042",
    "partitionkey": "5d2c9c3e-6e0a-5b1c-8d2c-0f8a5a1b7c11",
    "datacontenttype": "application/json",
    "dataschema": "urn:notification-preferences:schema:toggled.v1",
    "subject": "user_ada",
    "data": {
        "channel": "email",
        "toggle": "weekly_usage_digest",
        "enabled": True,
        "previous": False,
        "organization": "org_math",
        "actor": {"kind": "customer", "label": "user_ada"},
        "source": "dashboard",
        "request_id": REQUEST_ID_EXAMPLE,
        "catalogue_version": 1,
        "version": 3,
    },
}

_TEXT: Final[Json] = {"type": "string"}
_FLAG: Final[Json] = {"type": "boolean"}
_ORGANIZATION: Final[Json] = {
    "organization": {"description": "null for a user without an organization.", "type": ["string", "null"]}
}
_ACTOR: Final[Json] = {
    "actor": {
        "description": "Who acted: the user, or staff in the user's name, who are not told apart, or the bearer of an unsubscribe "
        "link, whose `label` is `unsubscribe link`. After the user was erased, `label` of the user is `erased`; where the service's "
        "key for the user does not fit, it is `unreadable`.",
        "type": "object",
        "properties": {"kind": {"type": "string", "enum": [*ActorKind]}, "label": _TEXT},
        "required": ["kind", "label"],
    }
}
_CIRCUMSTANCES: Final[Json] = {
    "source": {"description": "Where the change came from.", "type": "string", "enum": [*Source]},
    "request_id": {
        "description": "The request that caused the event.",
        "type": "string",
        "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$",
    },
    "catalogue_version": {
        "description": "The catalogue in force, which is what the user was shown.",
        "type": "integer",
        "minimum": 1,
    },
    "version": {
        "description": "The event's number in its stream (`partitionkey`): 1, 2, 3, without a gap.",
        "type": "integer",
        "minimum": 1,
    },
}


_WORDS: Final[Json] = {
    "title": {
        "description": "What people were shown; absent in a catalogue that was published without words.",
        **_TEXT,
    },
    "description": {"description": "What people were told about it; absent where there is no title.", **_TEXT},
}


_TOGGLE: Final = complete(
    {
        "name": _TEXT,
        "default": {"description": "The answer where a user recorded no choice.", **_FLAG},
        "mandatory": {"description": "Always sent; nobody may change it.", **_FLAG},
    },
    optional=_WORDS,
)
_CHANNELS: Final[Json] = {
    "type": "array",
    "items": complete({"name": _TEXT, "toggles": {"type": "array", "items": _TOGGLE}}, optional=_WORDS),
}


def _titled(properties: Json, title: str) -> Json:
    return {"title": title, **complete(properties)}


NAMES: Final[dict[type[Event], str]] = {
    NotificationToggled: "Toggled",
    PreferencesOpened: "Opened",
    PreferencesErased: "Erased",
    CataloguePublished: "CataloguePublished",
    LogContinued: "LogContinued",
}

DATA: Final[dict[type[Event], Json]] = {
    NotificationToggled: _titled(
        {
            "channel": _TEXT,
            "toggle": _TEXT,
            "enabled": {"description": "What was chosen.", **_FLAG},
            "previous": {
                "description": "The choice before; null if there was none, and the default spoke.",
                "type": ["boolean", "null"],
            },
            **_ORGANIZATION,
            **_ACTOR,
            **_CIRCUMSTANCES,
        },
        "A choice was recorded.",
    ),
    PreferencesOpened: _titled(
        {**_ORGANIZATION, **_ACTOR, **_CIRCUMSTANCES},
        "The first event of a stream: from here on this user has chosen something in this organization.",
    ),
    PreferencesErased: _titled(
        {**_ORGANIZATION, **_CIRCUMSTANCES},
        "The key to who acted in all events of this stream so far was destroyed. The choices stay in force.",
    ),
    CataloguePublished: _titled(
        {"channels": _CHANNELS, **_CIRCUMSTANCES}, "A catalogue came into force, for all organizations."
    ),
    LogContinued: _titled(
        {
            "previous_end": {
                "description": "The last position before. Whatever was given out between it and this event is gone.",
                "type": "integer",
                "minimum": 0,
            },
            **_CIRCUMSTANCES,
        },
        "The log was continued on another server, for all organizations.",
    ),
}
"""The schema of `data` for each kind of event. It is the same as in `docs/schemas`, word for word."""

_META: Final[Json] = complete(
    {
        "total": {"type": "integer", "minimum": 0, "description": "Always 0."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "As asked for."},
        "offset": {"type": "integer", "minimum": 0, "description": "Always 0."},
        "next_cursor": {
            "type": ["string", "null"],
            "description": "Pass it as `cursor` for the next page; null where the log ended.",
        },
        "next_after": {
            "type": "integer",
            "minimum": 0,
            "description": "The position to go on from, now or later: all that was asked for up to there has been "
            "answered.",
        },
    }
)


def components() -> Json:
    return {
        "CloudEvent": {
            "description": "A CloudEvent 1.0, of one of five types.",
            "oneOf": [reference(_event_name(kind)) for kind in TYPES],
            "discriminator": {
                "propertyName": "type",
                "mapping": {name: reference(_event_name(kind))["$ref"] for kind, name in TYPES.items()},
            },
        },
        **{_event_name(kind): _event(kind) for kind in TYPES},
        **{_data_name(kind): _described(schema) for kind, schema in DATA.items()},
        "EventPage": complete(
            {
                "success": {"type": "boolean", "description": "true; an error has false."},
                "data": {"type": "array", "items": reference("CloudEvent"), "maxItems": 1000},
                "meta": reference("EventPageMeta"),
            }
        ),
        "EventPageMeta": _META,
    }


def _event_name(kind: type[Event]) -> str:
    return f"{NAMES[kind]}Event"


def _data_name(kind: type[Event]) -> str:
    return f"{NAMES[kind]}Data"


def _described(schema: Json) -> Json:
    """The schema with its title as a description. A client generator turns a title into a type name, so a sentence must not be one."""
    described = dict(schema)
    return {"description": described.pop("title"), **described}


def _event(kind: type[Event]) -> Json:
    schema = complete(
        {
            "specversion": _constant("1.0"),
            "id": {"type": "string", "pattern": ULID, "description": "The event's own; the one to recognise it by."},
            "source": _constant(SOURCE),
            "type": _constant(TYPES[kind]),
            "time": {"type": "string", "format": "date-time", "description": "When it happened, in UTC."},
            "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "The event's position in the log."},
            "partitionkey": {
                "type": "string",
                "format": "uuid",
                "description": "The stream: the same user in the same organization, before and after erasure.",
            },
            "datacontenttype": _constant("application/json"),
            "dataschema": _constant(SCHEMAS[kind]),
            "data": reference(_data_name(kind)),
        }
    )
    if kind in {NotificationToggled, PreferencesOpened}:
        schema["properties"] |= {
            "subject": {"type": "string", "description": "The user; absent after an erasure."},
            "traceparent": {
                "type": "string",
                "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$",
                "description": "The request's place in the client's trace (W3C Trace Context), if the client sent one and `subject` is there.",
            },
        }
    return schema


def _constant(text: str) -> Json:
    return {"type": "string", "enum": [text]}
