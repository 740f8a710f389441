"""The decisions for senders in /openapi.json."""

from typing import Final

from api.http.errors import PayloadTooLarge
from api.schemas import COUNT, Json, complete, failure, failures, readers, reference, success
from application.identity import PREFERENCES_READ
from application.unsubscribing import ONE_CLICK
from domain.catalogue import Catalogue
from domain.decision import Reason
from domain.errors import (
    MalformedInput,
    MissingScope,
    Unauthenticated,
    Unavailable,
    UnknownNotificationKey,
    ValidationFailed,
)
from domain.send_question import MAX_USERS, NAME, NAME_PHRASE

_NAME: Final[Json] = {"type": "string", "pattern": f"^{NAME}$"}


def decide(catalogue: Catalogue) -> Json:
    question = {"channel": "email", "toggle": "product_updates", "users": ["user_ada", "user_bob"]}
    ada = {"user": "user_ada", "allowed": False, "reason": "choice", "version": 2, "position": 790}
    # Examples have no user who never chose: the position is null then, and the framework drops nulls, also from examples.
    bob = {
        "user": "user_bob",
        "allowed": True,
        "reason": "choice",
        "version": 2,
        "position": 801,
        "list_unsubscribe": "<https://mail.example.com/unsubscribe/ASV83FJGWEgz2un91GkvGzo7NSN1vtSVrH41ipesk59V>",
        "list_unsubscribe_post": ONE_CLICK,
        "list_id": "Product updates <product_updates.email.mail.example.com>",
    }
    example = {
        "channel": "email",
        "toggle": "product_updates",
        "catalogue_version": catalogue.version,
        "position": 812,
        "decided_at": "2026-04-26T12:00:00.123456Z",
        "decisions": [ada, bob],
    }
    return {
        "operation_id": "decideWhoMayBeWrittenTo",
        "summary": "Decide who may be written to",
        "description": "For each of the users, in their order: whether a message of this kind may be sent, and why. `choice` is "
        "what the user recorded, `default` the catalogue's where nothing is recorded, and `mandatory` a message that is "
        "always sent. What was acknowledged before the request is in the answer.\n\nKeep the answer: `position` says up to "
        "where in the log, `version` how many events of the user there were, and with `catalogue_version` that is all that a "
        "decision rests on. `preferences audit explain` verifies it against the log at any time later.\n\n"
        "With `unsubscribe`, each user who may be written to comes with the values of the headers `List-Unsubscribe`, "
        "`List-Unsubscribe-Post` and `List-Id` of their message (RFC 8058). A message that is always sent has none.\n\n"
        "Needs the scope `preferences:read`. Users are those of the caller's organization: who is a member is not known here, "
        "so a user of another organization gets the answer of a user who never chose. A key of the platform names the "
        "`organization`, null for users without one.",
        "tags": ["Decisions"],
        "response_model": None,
        "responses": {
            200: success("A decision for each user, in the order of the request.", "DecisionsAnswer", example),
            **failures(MalformedInput, Unauthenticated, MissingScope, Unavailable),
            413: failure(PayloadTooLarge, "The body is larger than 1 MiB."),
            422: _refused(),
        },
        "openapi_extra": {
            **readers(PREFERENCES_READ),
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": reference("DecisionQuestion"),
                        "examples": {
                            "two users": {"value": question},
                            "with unsubscribe links": {"value": {**question, "unsubscribe": True}},
                            "always sent": {"value": {**question, "toggle": "security_alerts"}},
                            "by the platform": {"value": {**question, "organization": "org_math"}},
                        },
                    }
                },
            },
        },
    }


def components(catalogue: Catalogue) -> Json:
    return {
        "DecisionQuestion": _question(catalogue),
        "Decision": _decision(),
        "Decisions": _decisions(catalogue),
    }


def _question(catalogue: Catalogue) -> Json:
    """One alternative for each channel, because each channel has its own toggles."""
    users = {"type": "array", "minItems": 1, "maxItems": MAX_USERS, "items": {**_NAME, "description": NAME_PHRASE}}
    organization = {
        "type": ["string", "null"],
        "pattern": f"^{NAME}$",
        "description": "Required of a key of the platform, null for users without one; of any other caller it must be the caller's own.",
    }
    alternatives = [
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["channel", "toggle", "users"],
            "properties": {
                "channel": {"type": "string", "enum": [channel.name]},
                "toggle": {"type": "string", "enum": [toggle.name for toggle in channel.toggles]},
                "users": users,
                "organization": organization,
                "unsubscribe": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether to add an unsubscribe link to each decision that allows. "
                    "The service needs the settings `PUBLIC_URL` and `UNSUBSCRIBE_KEYS` for it.",
                },
            },
        }
        for channel in catalogue.channels
    ]
    return alternatives[0] if len(alternatives) == 1 else {"oneOf": alternatives}


def _decision() -> Json:
    return complete(
        {
            "user": {"type": "string"},
            "allowed": {"type": "boolean"},
            "reason": {"type": "string", "enum": [reason.value for reason in Reason]},
            "version": {**COUNT, "description": "Events of this user by then; 0 for who had never chosen."},
            "position": {
                "type": ["integer", "null"],
                "minimum": 1,
                "description": "Of the last of them in the log; null for who had never chosen.",
            },
        },
        optional={
            "list_unsubscribe": {
                "type": "string",
                "description": "The value of the message's `List-Unsubscribe`: a link in angle brackets. It is there if the question "
                "asked for it and the message is allowed and not mandatory.",
            },
            "list_unsubscribe_post": {
                "type": "string",
                "enum": [ONE_CLICK],
                "description": "The value of `List-Unsubscribe-Post`.",
            },
            "list_id": {
                "type": "string",
                "description": "The value of `List-Id`: the title of the toggle, and a name for it.",
            },
        },
    )


def _decisions(catalogue: Catalogue) -> Json:
    toggles = dict.fromkeys(toggle.name for channel in catalogue.channels for toggle in channel.toggles)
    return complete(
        {
            "channel": {"type": "string", "enum": [channel.name for channel in catalogue.channels]},
            "toggle": {"type": "string", "enum": [*toggles]},
            "catalogue_version": {**COUNT, "minimum": 1, "description": "The one whose defaults decided."},
            "position": {
                **COUNT,
                "description": "What the log has up to there is in the decisions, and nothing that these users did later.",
            },
            "decided_at": {
                "type": "string",
                "format": "date-time",
                "description": "In UTC, for people; what counts is `position`.",
            },
            "decisions": {"type": "array", "minItems": 1, "maxItems": MAX_USERS, "items": reference("Decision")},
        }
    )


def _refused() -> Json:
    unknown = failure(UnknownNotificationKey, "A channel or toggle that does not exist", {"toggle": "unknown toggle"})
    invalid = failure(ValidationFailed, details={"users.1": NAME_PHRASE})
    examples = [answer["content"]["application/json"]["examples"] for answer in (unknown, invalid)]
    unknown["description"] += ", or a body that is not as described."
    unknown["content"]["application/json"]["examples"] = examples[0] | examples[1]
    return unknown
