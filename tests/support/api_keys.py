"""API keys for tests."""

from infrastructure.identity.api_keys import PostgresApiKeys
from tests.support.patient_database import patient_database


async def make_key(url: str, organization: str | None, *scopes: str, name: str = "nightly") -> dict[str, str]:
    """The header of a new key; without an organization, of one of the platform."""
    async with patient_database(url, size=1) as database:
        key = await PostgresApiKeys(database).create(organization, name, scopes)
    return {"Authorization": f"Bearer {key}"}
