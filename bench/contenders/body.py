"""The path of the preferences, their defaults, and the body of a PATCH as a pydantic model that FastAPI validates."""

from pydantic import BaseModel, ConfigDict, StrictBool

PATH = "/v1/me/notifications"
DEFAULTS = {
    "product_updates": True,
    "delivery_alerts": True,
    "billing_receipts": True,
    "weekly_usage_digest": False,
}


class Email(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product_updates: StrictBool | None = None
    delivery_alerts: StrictBool | None = None
    billing_receipts: StrictBool | None = None
    weekly_usage_digest: StrictBool | None = None


class Changes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email = Email()
