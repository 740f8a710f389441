"""All catalogues that were ever published: which was in force when, and whether a given one may be published next."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.catalogue import Catalogue, Channel, Toggle, Words
from domain.events import CataloguePublished
from domain.preferences import STREAMS
from domain.provenance import Source

STREAM: Final[UUID] = uuid5(STREAMS, "catalogue")
"""The catalogue has one stream of its own. No user's stream can have the same id, because user streams are named by JSON lists."""


class CatalogueStream(Aggregate):
    """Names the stream and its event for the library. No state is ever folded from it: each event is a whole catalogue."""

    TOPIC: ClassVar = "notification-preferences.catalogue"
    Event = Aggregate.Event
    Created = CataloguePublished


class CatalogueRefused(Exception):
    """One sentence on why a catalogue can't be published."""


class PublishedCatalogues:
    """Made from the catalogue's stream, oldest first. Version numbers rise and may skip some; a skipped version was never in force."""

    def __init__(self, events: Sequence[CataloguePublished]) -> None:
        self.events = events

    @property
    def newest(self) -> CataloguePublished | None:
        return self.events[-1] if self.events else None

    def in_force(self, instant: datetime) -> Catalogue | None:
        """The catalogue published last by this instant. Before the first publication, the first one counts. None if there never was one."""
        published_by_then = bisect_right(self.events, instant, key=lambda event: event.timestamp)
        return catalogue_of(self.events[max(published_by_then - 1, 0)]) if self.events else None

    def words(self, version: int, channel: str, toggle: str) -> Words | None:
        """The words that catalogue `version` had for a toggle. None if it had none, or was never published."""
        for event in self.events:
            if event.catalogue_version == version:
                found = catalogue_of(event).toggle(channel, toggle)
                return found.words if found else None
        return None

    def was_ever_in_force(self, catalogue: Catalogue) -> bool:
        """Whether `catalogue` is or was in force, so that decisions made with it can be verified. Before the first publication this is
        true for any release's catalogue, because it will be the first one.
        """
        return not self.events or any(
            event.catalogue_version == catalogue.version and event.channels == channels_of(catalogue)
            for event in self.events
        )

    def merged_with_history(self, catalogue: Catalogue) -> Catalogue:
        """A catalogue with every channel and toggle that `catalogue` or any published one has. A toggle is visible if it ever was."""
        ever: dict[str, dict[str, Toggle]] = {}
        for one in (catalogue, *map(catalogue_of, self.events)):
            for channel in one.channels:
                toggles = ever.setdefault(channel.name, {})
                for toggle in channel.toggles:
                    if toggles.setdefault(toggle.name, toggle).mandatory:
                        toggles[toggle.name] = toggle
        return Catalogue(
            catalogue.version, tuple(Channel(name, tuple(toggles.values())) for name, toggles in ever.items())
        )

    def publishing(
        self, catalogue: Catalogue, *, at: datetime, event_id: str, request_id: str
    ) -> CataloguePublished | None:
        """The event that publishes `catalogue`. None if it is already the newest. Raises `CatalogueRefused`."""
        newest = self.newest
        if newest is not None:
            if newest.catalogue_version > catalogue.version:
                raise CatalogueRefused(
                    f"catalogue version {newest.catalogue_version} is published, and this release has version "
                    f"{catalogue.version}: to go back, publish the old content under a new version"
                )
            if newest.catalogue_version == catalogue.version:
                if newest.channels != channels_of(catalogue):
                    raise CatalogueRefused(_ALTERED.format(catalogue.version, newest.timestamp))
                return None
        fields: dict[str, Any] = {
            "originator_id": STREAM,
            "originator_version": catalogue.version,
            "originator_topic": CatalogueStream.TOPIC,
            # The clocks of machines differ. Time must not run backwards, or nothing could say which catalogue was in force when.
            "timestamp": at if newest is None else max(at, newest.timestamp),
            "event_id": event_id,
            "request_id": request_id,
            "source": Source.SYSTEM.value,
            "catalogue_version": catalogue.version,
            "channels": channels_of(catalogue),
        }
        return CataloguePublished(**fields)

    def verdict(self, catalogue: Catalogue) -> str | None:
        """The problem for a release with `catalogue`, or None.

        An older catalogue is no problem: during a rollout, processes of the release before still serve.
        """
        newest = self.newest
        if newest is None or newest.catalogue_version < catalogue.version:
            return f"version {catalogue.version} is not published: run `preferences migrate`"
        if newest.catalogue_version == catalogue.version and newest.channels != channels_of(catalogue):
            return _ALTERED.format(catalogue.version, newest.timestamp)
        return None


_ALTERED: Final = (
    "version {} was published on {:%Y-%m-%d} with other content: what differs needs a version of its own, counted up"
)


def channels_of(catalogue: Catalogue) -> list[dict[str, Any]]:
    """The catalogue in the form that an event stores. Absent words are not stored, so the form of a catalogue without words is that of
    the releases that knew none.
    """
    return [
        {
            "name": channel.name,
            **_stored(channel.words),
            "toggles": [
                {
                    "name": toggle.name,
                    **_stored(toggle.words),
                    "default": toggle.default,
                    "mandatory": toggle.mandatory,
                }
                for toggle in channel.toggles
            ],
        }
        for channel in catalogue.channels
    ]


def catalogue_of(event: CataloguePublished) -> Catalogue:
    return Catalogue(
        event.catalogue_version,
        tuple(
            Channel(
                channel["name"],
                tuple(
                    Toggle(toggle["name"], toggle["default"], toggle["mandatory"], _words(toggle))
                    for toggle in channel["toggles"]
                ),
                _words(channel),
            )
            for channel in event.channels
        ),
    )


def _stored(words: Words | None) -> dict[str, str]:
    return words._asdict() if words else {}


def _words(stored: Mapping[str, Any]) -> Words | None:
    return Words(stored["title"], stored["description"]) if "title" in stored else None
