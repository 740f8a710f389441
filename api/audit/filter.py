"""Reads the filter of the audit log from the query."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import WithJsonSchema

from api.http.authentication import AuditReader
from api.http.instants import Instant
from api.schemas import SourceName, choice_filters
from application.audit.filter import AuditFilter
from application.vocabulary import Published, validate_with_history
from domain.catalogue import Catalogue
from domain.preferences import stream_id
from domain.provenance import Source
from projections.audit_log import Action
from projections.shown_actor import ActorKind

LONGEST_ID: Final = 255


def _one_of(*words: str) -> WithJsonSchema:
    # The schema has no null, because a query can't contain one.
    return WithJsonSchema({"type": "string", "enum": [*words]})


OfActorKind = Annotated[
    Literal["customer", "platform"] | None,
    Query(description="Only what customers did themselves, or what our staff did."),
    _one_of(*ActorKind),
]
FromSource = Annotated[SourceName | None, Query(description="Only what came from there."), _one_of(*Source)]


def from_query(catalogue: Catalogue, published: Published) -> Callable[..., Awaitable[AuditFilter]]:
    """A dependency that reads the filter from the query. It refuses channels and toggles that no catalogue has or ever had."""
    schemas = choice_filters(catalogue)

    async def read(
        reader: AuditReader,
        action: Annotated[
            Literal["notification_preferences.toggle", "notification_preferences.erase"] | None,
            Query(description="Only this action."),
            _one_of(*Action),
        ] = None,
        resource_type: Annotated[  # noqa: ARG001 - there is only one, and every entry has it
            Literal["user"] | None, Query(description="Only resources of this type."), _one_of("user")
        ] = None,
        resource_id: Annotated[
            str | None,
            Query(description="Only this user.", min_length=1, max_length=LONGEST_ID),
            WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_ID}),
        ] = None,
        actor_kind: OfActorKind = None,
        channel: Annotated[str | None, Query(), WithJsonSchema(schemas["channel"])] = None,
        toggle: Annotated[str | None, Query(), WithJsonSchema(schemas["toggle"])] = None,
        enabled: Annotated[
            Literal["true", "false"] | None,
            Query(description="Only what was switched on, or off."),
            WithJsonSchema({"type": "boolean"}),
        ] = None,
        source: FromSource = None,
        since: Annotated[Instant, Query(description="Only what happened then or later.")] = None,
        until: Annotated[
            Instant, Query(description="Only what happened before; what happened just then is left out.")
        ] = None,
    ) -> AuditFilter:
        wanted = AuditFilter(
            action=Action(action) if action else None,
            stream=stream_id(reader.organization, resource_id) if resource_id else None,
            actor_kind=ActorKind(actor_kind) if actor_kind else None,
            channel=channel,
            toggle=toggle,
            enabled=None if enabled is None else enabled == "true",
            source=source,
            since=since,
            until=until,
        )
        await validate_with_history(catalogue, published, wanted.check)
        return wanted

    return read
