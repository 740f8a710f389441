"""The catalogues that were ever published, which of them was in force when, and whether another may follow."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.catalogue import Catalogue, Channel, Toggle
from domain.events import CataloguePublished
from domain.preferences import STREAMS
from domain.provenance import Source

STREAM: Final[UUID] = uuid5(STREAMS, "catalogue")
"""The one stream of the catalogue. No user's can be the same: theirs are made of JSON lists."""


class CatalogueStream(Aggregate):
    """Names the stream and its event for the library. Nothing is ever folded from it: each event is a whole catalogue."""

    TOPIC: ClassVar = "notification-preferences.catalogue"
    Event = Aggregate.Event
    Created = CataloguePublished


class CatalogueRefused(Exception):
    """One sentence on why a catalogue can't be published."""


class PublishedCatalogues:
    """Made of the catalogue's stream, oldest first. Numbers count up and may leave some out, which were never in force."""

    def __init__(self, events: Sequence[CataloguePublished]) -> None:
        self.events = events

    @property
    def newest(self) -> CataloguePublished | None:
        return self.events[-1] if self.events else None

    def in_force(self, instant: datetime) -> Catalogue | None:
        """The one published last by then. Before the first publishing the first one held; None if there was none ever."""
        published_by_then = bisect_right(self.events, instant, key=lambda event: event.timestamp)
        return catalogue_of(self.events[max(published_by_then - 1, 0)]) if self.events else None

    def held(self, catalogue: Catalogue) -> bool:
        """Whether `catalogue` is, or was, in force, so that what is decided with it can be verified. Before the first publishing
        any release's is: it will be the first one."""
        return not self.events or any(
            event.catalogue_version == catalogue.version and event.channels == channels_of(catalogue)
            for event in self.events
        )

    def together_with(self, catalogue: Catalogue) -> Catalogue:
        """One that has every channel and toggle that `catalogue` or any other ever had, each visible if it ever was."""
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
        """The event that publishes `catalogue`; None if it is the newest already. Raises `CatalogueRefused`."""
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
            # Clocks of several machines differ; time must not run backwards, or nobody could say what held when.
            "timestamp": at if newest is None else max(at, newest.timestamp),
            "event_id": event_id,
            "request_id": request_id,
            "source": Source.SYSTEM.value,
            "catalogue_version": catalogue.version,
            "channels": channels_of(catalogue),
        }
        return CataloguePublished(**fields)

    def verdict(self, catalogue: Catalogue) -> str | None:
        """What is wrong for a release with `catalogue`; None if nothing is.

        Nothing is wrong with an older one: while a release is rolled out, processes of the one before it still serve.
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
    """The catalogue, as an event holds it."""
    return [
        {
            "name": channel.name,
            "toggles": [
                {"name": toggle.name, "default": toggle.default, "mandatory": toggle.mandatory}
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
                tuple(Toggle(toggle["name"], toggle["default"], toggle["mandatory"]) for toggle in channel["toggles"]),
            )
            for channel in event.channels
        ),
    )
