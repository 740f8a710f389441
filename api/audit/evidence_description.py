"""The operations on evidence in /openapi.json."""

from typing import Any, Final

from api.schemas import COUNT, REQUEST_ID, Json, complete, failure, failures, readers, reference
from application.identity import AUDIT_READ
from domain.errors import MissingScope, NotFound, Unauthenticated, Unavailable, ValidationFailed

_ANSWERS: Final = "Needs the scope `audit:read`."
_WRONG: Final = "An unknown or repeated parameter."
_NOTE: Final = (
    "notification-preferences\n500000\nj9N/14Dqv8Xa/LL4E+EPsSNINbvOCghUEY4JXON1f6M=\nposition 500000\n"
    "time 2026-11-23T13:55:10.259589+00:00\n\n"
    "— notification-preferences gY1hFjY9AIl7qLiHYDglhmRFqbFSjcVY2G4hZcWUoq0WVc07WGu7DCbFVNrdPeTZJtk0rcAwvieCeNoD+FG3ZFa5YQY=\n"
)


def components() -> Json:
    text = {"type": "string"}
    proven = complete(
        {
            "index": COUNT,
            "position": COUNT,
            "stream": text,
            "version": COUNT,
            "topic": text,
            "state": text,
            "sealed_actor": text,
            "proof": {"type": "array", "items": text},
        }
    )
    several = {"type": "array", "items": reference("ProvenEvent")}
    either = {"type": ["string", "null"]}
    bundle = {"format": text, "organization": either, "user": text, "key": either, "checkpoint": text}
    described = (
        "Keep its bytes: a bundle that was parsed and written again is refused. docs/bundle.md describes each field."
    )
    return {
        "ProvenEvent": {**proven, "description": "An event as stored, and the proof that the signed log contains it."},
        "EvidenceBundle": {**complete({**bundle, "events": several, "catalogues": several}), "description": described},
    }


def checkpoint() -> Json:
    data = {
        "note": _NOTE,
        "origin": "notification-preferences",
        "size": 500000,
        "position": 500000,
        "root": "8fd37fd780eabfc5dafcb2f813e10fb1234835bbce0a0854118e095ce3757fa3",
        "signed_at": "2026-11-23T13:55:10.259589Z",
        "public_keys": ["notification-preferences+818d6116+AaFRiZDWNn3a4cFcdTFlqRPFAYpb4C5rYOW+MOmIDwAp"],
    }
    return {
        "operation_id": "getCheckpoint",
        "summary": "Read the last signed checkpoint of the log",
        "description": "The size and the Merkle root of the whole log, signed. Keep a copy elsewhere: it proves later whether "
        f"the log still has the same events. It says nothing about anybody, so this reading is not recorded. {_ANSWERS}",
        "tags": ["Evidence"],
        "responses": {
            **_responses("The last checkpoint.", data),
            404: failure(NotFound, "Nothing is signed yet, or this service has no key to check it with."),
        },
        "openapi_extra": readers(AUDIT_READ),
    }


def catalogues() -> Json:
    toggle = {
        "name": "weekly_usage_digest",
        "title": "Weekly usage digest",
        "description": "A summary of the week.",
        "default": False,
        "mandatory": False,
    }
    data = [
        {
            "version": 1,
            "published_at": "2026-01-01T00:00:00.000000Z",
            "channels": [{"name": "email", "title": "E-mail", "toggles": [toggle]}],
        }
    ]
    return {
        "operation_id": "listPublishedCatalogues",
        "summary": "Read every catalogue that was ever published",
        "description": "Which toggles there were, what people were told about them, and what applied without a choice: version "
        "by version, as published in the log. A choice names the version that its user was shown. The catalogues concern every "
        f"organization, so this reading is not recorded. {_ANSWERS}",
        "tags": ["Evidence"],
        "responses": _responses("The catalogues, oldest first.", data),
        "openapi_extra": readers(AUDIT_READ),
    }


def bundle() -> Json:
    proven = {
        "index": 1,
        "position": 2,
        "stream": "763fb516-f4e3-5f75-81be-04186530df2f",
        "version": 1,
        "topic": "notification-preferences.opened",
        "state": "{}",
        "sealed_actor": "",
        "proof": ["j9N/14Dqv8Xa/LL4E+EPsSNINbvOCghUEY4JXON1f6M="],
    }
    example = {
        "format": "notification-preferences evidence 1",
        "organization": "org_math",
        "user": "user_ada",
        "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "checkpoint": _NOTE,
        "events": [proven],
        "catalogues": [{**proven, "index": 0, "position": 1, "topic": "notification-preferences.catalogue-published"}],
    }
    content = {"application/json": {"schema": reference("EvidenceBundle"), "example": example}}
    return {
        "operation_id": "getUserEvidence",
        "summary": "Download the evidence bundle of a user",
        "description": "All events of the user up to the last checkpoint, as stored, with the proof that the signed log contains "
        "them. It can be verified offline. It holds the key that opens the actors, so everybody who has it can read who acted, "
        f"also after an erasure. The download is recorded. {_ANSWERS}",
        "tags": ["Evidence"],
        "responses": {
            200: {"description": "The bundle, as a file.", "headers": REQUEST_ID, "content": content},
            **failures(Unauthenticated, MissingScope, Unavailable),
            404: failure(NotFound, "No event of this user is signed yet, or this service has no key to check it with."),
            422: failure(ValidationFailed, _WRONG, {"sign": "unknown parameter"}),
        },
        "openapi_extra": readers(AUDIT_READ),
    }


def _responses(what: str, data: Any) -> dict[int, Json]:
    example = {"success": True, "data": data}
    return {
        200: {
            "description": what,
            "headers": REQUEST_ID,
            "content": {"application/json": {"examples": {"an answer": {"value": example}}}},
        },
        **failures(Unauthenticated, MissingScope, Unavailable),
        422: failure(ValidationFailed, _WRONG, {"limit": "unknown parameter"}),
    }
