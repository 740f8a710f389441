"""What a record of consent must show: who chose what, when, how, what they were told, and whether it still holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.events import CataloguePublished, NotificationToggled, PreferencesEvent


@dataclass(frozen=True, slots=True)
class Consent:
    """One recorded choice. `by` is who acted: the user, or who did so in the user's name.

    `source` is how it was given, `catalogue_version` what they were told, and `default` what held without a choice; None
    where the log has no catalogue of that version. `replaced_at`: when another choice took its place; for one that said yes,
    when it was withdrawn.
    """

    version: int
    occurred_at: datetime
    path: str
    enabled: bool
    user: str
    session: str | None
    impersonator: str | None
    impersonated: bool
    source: str
    request_id: str
    catalogue_version: int
    default: bool | None
    replaced_at: datetime | None

    @property
    def in_force(self) -> bool:
        return self.replaced_at is None


def consents(events: Sequence[PreferencesEvent], catalogues: Iterable[CataloguePublished]) -> list[Consent]:
    """The choices of one stream, oldest first."""
    defaults = {catalogue.catalogue_version: _defaults(catalogue) for catalogue in catalogues}
    toggled = [event for event in events if isinstance(event, NotificationToggled)]
    replaced: dict[str, datetime] = {}
    found = []
    for event in reversed(toggled):
        found.append(
            Consent(
                version=event.originator_version,
                occurred_at=event.timestamp,
                path=event.path,
                enabled=event.enabled,
                user=event.actor["user"],
                session=event.actor.get("session"),
                impersonator=event.actor.get("impersonator"),
                impersonated=event.impersonated or "impersonator" in event.actor,
                source=event.source,
                request_id=event.request_id,
                catalogue_version=event.catalogue_version,
                default=defaults.get(event.catalogue_version, {}).get(event.path),
                replaced_at=replaced.get(event.path),
            )
        )
        replaced[event.path] = event.timestamp
    return found[::-1]


def _defaults(catalogue: CataloguePublished) -> Mapping[str, bool]:
    return {
        f"{channel['name']}.{toggle['name']}": toggle["default"]
        for channel in catalogue.channels
        for toggle in channel["toggles"]
    }
