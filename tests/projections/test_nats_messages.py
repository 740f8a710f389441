import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.cloud_events import cloud_event
from projections.nats_messages import message, organization_of, organization_token, subject
from tests.support.events import BOB, TRACEPARENT, catalogue_published, continued, erased, opened, toggled

organizations = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["_", "~", "%", ".", ">"])
)


def test_a_subject_names_the_organization_and_the_type() -> None:
    assert subject(opened()) == "notification-preferences.org_math.opened"
    assert subject(toggled(2, "news", True)) == "notification-preferences.org_math.toggled"
    assert subject(erased(3)) == "notification-preferences.org_math.erased"


def test_users_without_an_organization_and_what_concerns_all_have_tokens_of_their_own() -> None:
    assert subject(opened(BOB)) == "notification-preferences._.opened"
    assert subject(catalogue_published()) == "notification-preferences.~.catalogue-published"
    assert subject(continued(406)) == "notification-preferences.~.continued"


@given(organizations)
def test_an_organization_of_any_name_is_one_plain_token_and_can_be_read_back(organization: str | None) -> None:
    token = organization_token(organization)
    assert re.fullmatch(r"[A-Za-z0-9_%-]+", token)
    assert organization_of(token) == organization


@given(organizations, organizations)
def test_no_two_organizations_share_a_token(one: str | None, other: str | None) -> None:
    assert (organization_token(one) == organization_token(other)) == (one == other)


def test_the_token_of_all_organizations_is_none_of_them() -> None:
    with pytest.raises(ValueError, match="every organization"):
        organization_of("~")


def test_attributes_are_headers_and_data_is_the_payload() -> None:
    event = toggled(2, "news", True)
    told = cloud_event(417, event)
    handed_on = message(417, event)
    assert handed_on.data == told.pop("data")
    assert handed_on.headers == {f"ce-{name}": value for name, value in told.items()}


def test_the_traceparent_is_an_attribute_and_a_header_where_tracing_libraries_look_for_it() -> None:
    headers = message(417, toggled(2, "news", True, traceparent=TRACEPARENT)).headers
    assert (headers["ce-traceparent"], headers["traceparent"]) == (TRACEPARENT, TRACEPARENT)


def test_what_a_header_cannot_carry_is_percent_encoded() -> None:
    user = 'Ünal "50 %"\r\nNats-Rollup: all'
    header = message(1, opened(actor={"user": user})).headers["ce-subject"]
    assert header == "%C3%9Cnal%20%2250%20%25%22%0D%0ANats-Rollup:%20all"
    assert unquote(header) == user
