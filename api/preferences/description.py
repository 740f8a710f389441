"""The user's own preferences and their history in /openapi.json. The schemas of the preferences are made from the catalogue."""

from api.http.errors import PayloadTooLarge
from api.schemas import (
    ETAG,
    LINKS,
    REQUEST_ID,
    REQUEST_ID_EXAMPLE,
    Json,
    conditional,
    failure,
    failures,
    next_page,
    reference,
    success,
)
from domain.catalogue import Catalogue
from domain.change import PRECEDENCE
from domain.errors import (
    MalformedInput,
    PreconditionFailed,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UserRequired,
    ValidationFailed,
)


def read(catalogue: Catalogue) -> Json:
    example = catalogue.resolve({})
    return {
        "operation_id": "getMyNotificationPreferences",
        "summary": "Read my notification preferences",
        "description": "Every toggle of every channel, resolved: what you chose, and the default where you did not choose. "
        "Reading stores nothing. Send the `ETag` back as `If-None-Match` to be told with a 304 that nothing changed.",
        "tags": ["Preferences"],
        "response_model": None,
        "responses": {
            200: success("The resolved preferences.", "MyPreferencesAnswer", example, ETAG, LINKS),
            304: {"description": "Still the state that `If-None-Match` names.", "headers": {**REQUEST_ID, **ETAG}},
            **failures(Unauthenticated, UserRequired, Unavailable),
        },
        "openapi_extra": {
            "security": [{"clerkJWT": []}],
            "parameters": [conditional("If-None-Match", "Answer 304 if this is still the state's `ETag`.")],
        },
    }


def change(catalogue: Catalogue) -> Json:
    example = catalogue.resolve({"email.weekly_usage_digest": True})
    return {
        "operation_id": "changeMyNotificationPreferences",
        "summary": "Change my notification preferences",
        "description": "Send only what you want to change. Booleans replace; what is absent keeps its value; anything else "
        "is refused, and a refused request changes nothing. Each choice that differs from the recorded one is recorded "
        "as an event, also where it equals the default: from then on it is yours, and a new default does not touch it. "
        "The answer is the full state after the change.\n\nAn empty body changes nothing and answers the current state.",
        "tags": ["Preferences"],
        "response_model": None,
        "responses": {
            200: success("The resolved preferences after the change.", "MyPreferencesAnswer", example, ETAG, LINKS),
            **failures(
                MalformedInput,
                Unauthenticated,
                UserRequired,
                PreconditionFailed,
                PayloadTooLarge,
                *PRECEDENCE,
                RateLimited,
                Unavailable,
            ),
        },
        "openapi_extra": {
            "security": [{"clerkJWT": []}],
            "parameters": [
                conditional("If-Match", "Change only if this is still the state's `ETag`; else answer 412.")
            ],
            "requestBody": {
                "required": False,
                "content": {
                    "application/json": {
                        "schema": reference("PreferencesChange"),
                        "examples": {
                            "one toggle": {"value": {"email": {"weekly_usage_digest": True}}},
                            "several toggles": {
                                "value": {"email": {"product_updates": False, "delivery_alerts": True}}
                            },
                            "nothing": {"value": {}},
                        },
                    }
                },
            },
        },
    }


def catalogue(example: Json) -> Json:
    return {
        "operation_id": "getNotificationCatalogue",
        "summary": "Read which notifications there are",
        "description": "Every channel and every toggle, in words for people, with the default of each. Mandatory toggles are "
        "among them: they are always sent, and their words say why. It is the catalogue by which this service answers, and it "
        "changes with a release. Any user's session and any API key may read it. Send the `ETag` back as `If-None-Match` to "
        "be told with a 304 that nothing changed.",
        "tags": ["Preferences"],
        "response_model": None,
        "responses": {
            200: success("The catalogue.", "CatalogueAnswer", example, ETAG),
            304: {"description": "Still the catalogue that `If-None-Match` names.", "headers": {**REQUEST_ID, **ETAG}},
            **failures(Unauthenticated, Unavailable),
        },
        "openapi_extra": {
            "security": [{"clerkJWT": []}, {"apiKey": []}],
            "parameters": [conditional("If-None-Match", "Answer 304 if this is still the catalogue's `ETag`.")],
        },
    }


def history() -> Json:
    # This example has no null, because the framework drops nulls, also from examples.
    entry = {
        "id": "01JTBQH2G1T3ZC5X8E9V7M4N6P",
        "occurred_at": "2026-04-26T12:00:00.123456Z",
        "channel": "email",
        "toggle": "weekly_usage_digest",
        "enabled": True,
        "previous": False,
        "actor": {"kind": "customer", "label": "user_ada"},
        "source": "dashboard",
        "request_id": REQUEST_ID_EXAMPLE,
    }
    meta = {
        "total": 0,
        "limit": 1,
        "offset": 0,
        "next_cursor": "eyJ2ZXJzaW9uIjogMywgImlkIjogIjAxSlRCUUgyRzFUM1pDNVg4RTlWN000TjZQIn0=",
    }
    example = {"success": True, "data": [entry], "meta": meta}
    wrong = "A wrong `limit`, a `cursor` that is not from this history, or an unknown or repeated parameter."
    return {
        "operation_id": "getMyNotificationHistory",
        "summary": "Read the history of my notification preferences",
        "description": "What was changed, when, from where and by whom, newest first. The history of the user in the "
        "token's active organization; it is never shortened.",
        "tags": ["Preferences"],
        "responses": {
            200: {
                "description": "A page of the history.",
                "headers": REQUEST_ID,
                "content": {"application/json": {"example": example}},
                "links": next_page("getMyNotificationHistory"),
            },
            **failures(Unauthenticated, UserRequired, Unavailable),
            422: failure(ValidationFailed, wrong, {"limit": "must be less than or equal to 200"}),
        },
        "openapi_extra": {"security": [{"clerkJWT": []}]},
    }
