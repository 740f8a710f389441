"""A page of the audit log, in the shape of the product."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.preferences.history import Meta
from api.schemas import ULID, SourceName, SuccessAnswer, Who


class Resource(BaseModel):
    type: Literal["user"]
    id: str = Field(description="The user; `erased` after an erasure, `unreadable` where the key does not fit.")


class RecordedChoice(BaseModel):
    channel: str
    toggle: str
    enabled: bool | None = Field(description="What was recorded; null where nothing was, and the default applied.")


class Payload(BaseModel):
    before: RecordedChoice | None
    after: RecordedChoice | None
    source: SourceName = Field(description="Where the change came from.")


class AuditEntry(BaseModel):
    id: str = Field(description="ULID of the event.", pattern=ULID)
    occurred_at: datetime = Field(description="When it happened, in UTC.")
    actor: Who
    action: Literal["notification_preferences.toggle", "notification_preferences.erase"]
    resource: Resource
    reason: str | None = Field(default=None, description="Always null: the service records no reason.")
    request_id: str = Field(description="ULID of the request that did it.", pattern=ULID)
    payload: Payload | None = Field(default=None, description="Only with `include=payload`.")


class AuditMeta(Meta):
    last_event_at: datetime | None = Field(
        description="How far the feed is complete: everything that was recorded until then is in it. It is the moment of "
        "this answer, unless the feed lags behind. Null before the feed has begun."
    )


class AuditLogPage(SuccessAnswer):
    data: list[AuditEntry]
    meta: AuditMeta


class AuditDay(BaseModel):
    day: date = Field(description="In UTC.")
    channel: str
    toggle: str
    source: SourceName
    opt_ins: int = Field(description="How many choices switched it on.", ge=0)
    opt_outs: int = Field(description="How many choices switched it off.", ge=0)


class AuditSummaryMeta(BaseModel):
    total: int = Field(description="Always 0.", ge=0)
    limit: int = Field(description="How many there are: all of them.", ge=0)
    offset: int = Field(description="Always 0.", ge=0)
    next_cursor: str | None = Field(default=None, description="Always null.")
    since: datetime = Field(description="From when on it is counted.")
    until: datetime = Field(description="Up to when it is counted.")
    last_event_at: datetime | None = Field(
        description="How far the counts are complete: everything that was recorded until then is in them. Null before the "
        "feed has begun."
    )


class AuditSummaryPage(SuccessAnswer):
    data: list[AuditDay]
    meta: AuditSummaryMeta
