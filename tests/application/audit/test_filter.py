"""What can be asked of the audit log, and what can't."""

from datetime import timedelta

import pytest

from application.audit.filter import AuditFilter
from domain.catalogue import Catalogue, Channel, Toggle
from domain.errors import ValidationFailed
from tests.support.events import NOON

NEWS, ALERTS = Toggle("news", default=True), Toggle("alerts", default=True, mandatory=True)
CATALOGUE = Catalogue(1, (Channel("email", (NEWS, ALERTS)), Channel("in_app", (Toggle("mentions", default=True),))))


@pytest.mark.parametrize(
    "wanted",
    [
        AuditFilter(),
        AuditFilter(channel="email"),
        AuditFilter(toggle="mentions"),
        AuditFilter(channel="email", toggle="news"),
        AuditFilter(since=NOON),
        AuditFilter(until=NOON),
        AuditFilter(since=NOON, until=NOON),
    ],
)
def test_what_an_entry_can_fit_can_be_asked_for(wanted: AuditFilter) -> None:
    wanted.check(CATALOGUE)


@pytest.mark.parametrize(
    ("wanted", "details"),
    [
        (AuditFilter(channel="pigeon", toggle="news"), {"channel": "unknown channel"}),
        (AuditFilter(toggle="novelties"), {"toggle": "unknown toggle"}),
        (AuditFilter(toggle="alerts"), {"toggle": "unknown toggle"}),
        (AuditFilter(channel="email", toggle="mentions"), {"toggle": "unknown toggle"}),
        (
            AuditFilter(toggle="novelties", since=NOON + timedelta(microseconds=1), until=NOON),
            {"toggle": "unknown toggle", "since": "must not be after until"},
        ),
    ],
)
def test_what_no_entry_can_fit_is_named(wanted: AuditFilter, details: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed) as refused:
        wanted.check(CATALOGUE)
    assert refused.value.details == details
