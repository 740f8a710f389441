"""A record of consent: who chose what, when and how, what the user was told, and whether the choice is still in force."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.catalogue import Words
from domain.events import CataloguePublished, NotificationToggled, PreferencesEvent
from domain.provenance import BY_LINK
from domain.published_catalogues import catalogue_of


@dataclass(frozen=True, slots=True)
class Consent:
    """One recorded choice. `user` chose it, unless `impersonated` says that staff did so in the user's name, or `by_link` says that the
    bearer of an unsubscribe link did.

    `source` is how the choice was made, and `catalogue_version` what the user was told. By that catalogue, `default` applied without a
    choice, and `words` said what the toggle is. `default` is None if the log has no catalogue of that version; `words` also if it had none.
    `replaced_at`: when another choice took its place. For a consent, this is the time of withdrawal.
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
    words: Words | None
    replaced_at: datetime | None

    @property
    def by_link(self) -> bool:
        return self.source in BY_LINK

    @property
    def in_force(self) -> bool:
        return self.replaced_at is None


def consents(events: Sequence[PreferencesEvent], catalogues: Iterable[CataloguePublished]) -> list[Consent]:
    """The choices of one stream, oldest first."""
    published = {catalogue.catalogue_version: catalogue_of(catalogue) for catalogue in catalogues}
    toggled = [event for event in events if isinstance(event, NotificationToggled)]
    replaced: dict[str, datetime] = {}
    found = []
    for event in reversed(toggled):
        catalogue = published.get(event.catalogue_version)
        told = catalogue.toggle(event.channel, event.toggle) if catalogue else None
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
                default=told.default if told else None,
                words=told.words if told else None,
                replaced_at=replaced.get(event.path),
            )
        )
        replaced[event.path] = event.timestamp
    return found[::-1]
