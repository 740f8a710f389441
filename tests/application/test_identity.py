"""Who may read what is not their own."""

from uuid import UUID

import pytest

from application.identity import (
    AUDIT_READ,
    EVENTS_READ,
    ApiKey,
    OrganizationReader,
    Reader,
    UserSession,
    key_reader,
    session_reader,
)
from domain.errors import MissingScope
from domain.preferences import stream_id

ROLES = {"admin": frozenset({AUDIT_READ})}
KEY = UUID(int=7)


def session(organization: str | None = "org_math", role: str | None = "admin", impersonator: str | None = None):
    return UserSession("user_ada", "sess_1", organization, role, impersonator, 0)


def key(organization: str | None, *scopes: str) -> ApiKey:
    return ApiKey(KEY, organization, "reports", frozenset(scopes))


def test_a_session_reads_its_organization_with_the_scopes_of_its_role() -> None:
    stream = stream_id("org_math", "user_ada")
    reader = session_reader(session(), AUDIT_READ, ROLES)
    assert reader == OrganizationReader("org_math", "user:user_ada", stream)
    assert not reader.platform


def test_who_acts_in_a_users_name_is_part_of_the_reader() -> None:
    assert session_reader(session(impersonator="user_staff"), AUDIT_READ, ROLES).impersonator == "user_staff"


@pytest.mark.parametrize("role", ["member", "Admin", "", None])
def test_another_role_has_no_scope(role: str | None) -> None:
    with pytest.raises(MissingScope):
        session_reader(session(role=role), AUDIT_READ, ROLES)


def test_a_role_has_no_scope_but_its_own() -> None:
    with pytest.raises(MissingScope):
        session_reader(session(), EVENTS_READ, ROLES)


def test_a_session_without_an_organization_has_none_to_read() -> None:
    with pytest.raises(MissingScope):
        session_reader(session(organization=None), AUDIT_READ, ROLES)


def test_a_key_reads_its_organization_with_the_scopes_it_was_made_with() -> None:
    label = f"api_key:{KEY} (reports)"
    assert key_reader(key("org_math", AUDIT_READ, EVENTS_READ), EVENTS_READ) == OrganizationReader("org_math", label)


def test_a_key_without_the_scope_is_refused() -> None:
    for held in ((), (AUDIT_READ,), ("events:write",)):
        with pytest.raises(MissingScope):
            key_reader(key("org_math", *held), EVENTS_READ)


def test_a_key_of_the_platform_is_a_reader_without_an_organization() -> None:
    reader = key_reader(key(None, EVENTS_READ), EVENTS_READ)
    assert reader == Reader(None, f"api_key:{KEY} (reports)")
    assert reader.platform
