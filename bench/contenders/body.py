"""The body of a PATCH as a pydantic model, for the contenders that have FastAPI validate it."""

from pydantic import BaseModel, ConfigDict, StrictBool


class Email(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product_updates: StrictBool | None = None
    delivery_alerts: StrictBool | None = None
    billing_receipts: StrictBool | None = None
    weekly_usage_digest: StrictBool | None = None


class Changes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email = Email()
