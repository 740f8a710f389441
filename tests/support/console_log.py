"""A log for the console: an organization with users over some months, support among them, an erasure, and names that look like markup."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.catalogue import CATALOGUE
from domain.events import Event
from domain.preferences import stream_id
from tests.support.catalogues import published
from tests.support.events import erased, opened, toggled
from tests.support.filled_log import TOGGLES, forget, put, take_in

ORGANIZATION = "org_math"
MARKUP = "user_<img/src=x/onerror=alert(1)>"
"""A user whose id is markup, which the console must show as text."""
MARKED_ORGANIZATION = "org_<b>bold</b>"
BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)
SOURCES = ("dashboard", "dashboard", "one_click", "api")


def choices(organization: str, user: str, *chosen: tuple[int, str, bool, str], support: int = -1) -> list[Event]:
    """The events of a user: each choice with its day, toggle and source. At number `support`, support acted."""
    stream, recorded = stream_id(organization, user), dict[str, bool]()
    actor: dict[str, Any] = {"user": user, "session": f"sess_{user}"}

    def common(day: int, number: int) -> dict[str, Any]:
        return {
            "timestamp": BEGAN + timedelta(days=day, minutes=number, microseconds=123456),
            "organization": organization,
            "catalogue_version": CATALOGUE.version,
        }

    events: list[Event] = [opened(stream, actor=actor, **common(chosen[0][0], 0))]
    for number, (day, toggle, enabled, source) in enumerate(chosen):
        acted = {**actor, "impersonator": "user_staff"} if number == support else actor
        previous = recorded.get(toggle)
        recorded[toggle] = enabled
        events.append(
            toggled(
                number + 2,
                toggle,
                enabled,
                stream,
                previous=previous,
                actor=acted,
                impersonated=number == support,
                source=source,
                **common(day, number),
            )
        )
    return events


def fill_console(url: str) -> None:
    """Puts the log in, takes it into the index, and forgets the key of the erased person. The log is not signed."""
    events = [published(CATALOGUE, BEGAN - timedelta(days=4))]
    events += choices(
        ORGANIZATION,
        "user_ada",
        (0, "weekly_usage_digest", True, "dashboard"),
        (40, "product_updates", False, "one_click"),
        (41, "product_updates", True, "admin"),
        (90, "weekly_usage_digest", False, "dashboard"),
        support=2,
    )
    events += choices(ORGANIZATION, MARKUP, (12, "product_updates", False, "api"))
    events += choices(MARKED_ORGANIZATION, "user_marked", (13, "product_updates", False, "api"))
    events += choices("org_chess", "user_of_chess", (14, "product_updates", False, "dashboard"))
    gone = choices(ORGANIZATION, "user_gone", (20, "billing_receipts", False, "dashboard"))
    at = {"timestamp": BEGAN + timedelta(days=21), "organization": ORGANIZATION}
    events += [*gone, erased(3, stream_id(ORGANIZATION, "user_gone"), **at)]
    for number in range(70):
        day, source = (number * 37) % 100, SOURCES[number % 4]
        events += choices(ORGANIZATION, f"user_{number:02}", (day, TOGGLES[number % 4], number % 3 == 0, source))
    put(url, events)
    forget(url, stream_id(ORGANIZATION, "user_gone"))
    asyncio.run(take_in(url))
