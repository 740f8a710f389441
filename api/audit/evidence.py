"""Evidence over HTTP: the last checkpoint, the published catalogues, and the bundle of one user."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from api.audit import evidence_description as description
from api.audit.users import UserId
from api.http.answer import JSON, Answer, success
from api.http.authentication import AuditReader
from api.http.exact_query import ExactQuery
from api.http.instants import shown
from api.http.request_context import REQUEST_ID
from api.schemas import SuccessAnswer
from api.services import Services

CHECKPOINT: Final = "/v1/audit-log/checkpoint"
CATALOGUES: Final = "/v1/audit-log/catalogues"
BUNDLE: Final = "/v1/users/{user_id:path}/evidence"
ATTACHED: Final = (b"content-disposition", b'attachment; filename="evidence.json"')


class SignedCheckpoint(BaseModel):
    note: str = Field(description="The signed text, as C2SP's tlog-checkpoint has it.")
    origin: str = Field(description="The log's name.")
    size: int = Field(description="How many events are signed.", ge=1)
    position: int = Field(description="The position of the last of them.", ge=1)
    root: str = Field(description="The root of the Merkle tree over them, in hexadecimal.", pattern="^[0-9a-f]{64}$")
    signed_at: datetime = Field(description="When it was signed, in UTC.")
    public_keys: list[str] = Field(
        description="The public keys that this service trusts, ours first. Get the one to verify with in another way, too."
    )


class CheckpointAnswer(SuccessAnswer):
    data: SignedCheckpoint


class PublishedToggle(BaseModel):
    name: str
    default: bool
    mandatory: bool
    title: str | None = Field(
        default=None, description="What people were told; absent in catalogues from before it was."
    )
    description: str | None = Field(default=None, description="The same in a sentence.")


class PublishedChannel(BaseModel):
    name: str
    title: str | None = None
    description: str | None = None
    toggles: list[PublishedToggle]


class PublishedCatalogue(BaseModel):
    version: int = Field(ge=1)
    published_at: datetime = Field(description="From when on it was in force, in UTC.")
    channels: list[PublishedChannel]


class CataloguesAnswer(SuccessAnswer):
    data: list[PublishedCatalogue] = Field(description="Oldest first.")


def add(app: FastAPI, services: Services) -> None:
    @app.get(CHECKPOINT, response_model=CheckpointAnswer, **description.checkpoint())
    async def read_checkpoint(_reader: AuditReader, _: Annotated[None, ExactQuery]) -> Answer:
        note, checkpoint, keys = await services.evidence.checkpoint()
        data = {
            "note": note,
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "position": checkpoint.position,
            "root": checkpoint.root.hex(),
            "signed_at": shown(checkpoint.time),
            "public_keys": [*keys],
        }
        return Answer(200, success(data))

    @app.get(CATALOGUES, response_model=CataloguesAnswer, **description.catalogues())
    async def read_catalogues(_reader: AuditReader, _: Annotated[None, ExactQuery]) -> Answer:
        published = await services.published()
        data: list[dict[str, Any]] = [
            {
                "version": event.catalogue_version,
                "published_at": shown(event.timestamp),
                "channels": event.channels,
            }
            for event in published.events
        ]
        return Answer(200, success(data))

    @app.get(BUNDLE, **description.bundle())
    async def read_evidence(
        request: Request, reader: AuditReader, _: Annotated[None, ExactQuery], user_id: UserId
    ) -> Answer:
        made = await services.evidence.bundle(reader, user_id, request_id=request.scope[REQUEST_ID])
        return Answer(200, made, (JSON, ATTACHED))
