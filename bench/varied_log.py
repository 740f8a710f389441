"""Fills a log with choices of every kind, and the index of the audit log with them.

The domain's own event gives the stored format. Half of all events are one large organization's, the others belong to
organizations of 40 users; some kinds of choices are as rare as they are in life. Actors stand in the open, as in events from
before sealing: a page costs the database the same, and no key has to be used ten million times.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import psycopg

from bench.stored_log import ANYBODY, EVENT_ID, REQUEST_ID, ids, index_log, named, write_log
from bench.users import numbered
from domain.catalogue import CATALOGUE
from domain.events import NotificationToggled
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.log.event_codec import StoredEvent, encode
from infrastructure.log.sealing import new_key

LARGE = "org_2benchlarge"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20260306
TOGGLES = tuple(path.partition(".")[2] for path in CATALOGUE.defaults)
# How many of 1,000 events have each source, and of 200 are of the customer's own people or of the platform's.
SOURCES = {Source.DASHBOARD: 900, Source.API: 90, Source.ONE_CLICK: 7, Source.IMPORT: 2, Source.ADMIN: 1}
IMPERSONATED = {False: 199, True: 1}


def fill(url: str, users: int, events: int, every: timedelta = timedelta(seconds=1)) -> None:
    """`users` with one event after the other in turns, until there are so many, and so long between two of them."""
    with psycopg.connect(url, autocommit=True) as connection:
        write_log(connection, _in_turns(users, events, every), new_key())
        index_log(connection, events)


def people(users: int) -> Iterator[tuple[str, str]]:
    """Organization and name of each, by number: every other one is of the large organization."""
    for number in range(users):
        user = numbered(number)
        yield (LARGE if number % 2 else user.organization), user.name


def _in_turns(users: int, events: int, every: timedelta) -> Iterator[StoredEvent]:
    """A user's events alternate between on and off."""
    chance = random.Random(SEED)
    owners = [(organization, name, stream_id(organization, name)) for organization, name in people(users)]
    kinds = list(product(TOGGLES, SOURCES, IMPERSONATED))
    weights = [SOURCES[source] * IMPERSONATED[impersonated] for _, source, impersonated in kinds]
    samples = {kind: (_sample(*kind, enabled=False), _sample(*kind, enabled=True)) for kind in kinds}
    for round_ in range(-(-events // users)):
        drawn = chance.choices(kinds, weights, k=users)
        for number, ((organization, name, stream), kind) in enumerate(zip(owners, drawn, strict=True)):
            turn = round_ * users + number
            if turn == events:
                return
            _, _, topic, state, _ = samples[kind][round_ % 2 == 0]
            own = state.decode().replace(ANYBODY.name, name)
            own = own.replace(BEGIN.isoformat(), (BEGIN + turn * every).isoformat())
            yield StoredEvent(stream, round_ + 1, topic, named(own, organization, *ids(round_ + 1, number)))


def _sample(toggle: str, source: Source, impersonated: bool, *, enabled: bool) -> StoredEvent:
    return encode(
        NotificationToggled(
            originator_id=stream_id("", ""),
            originator_version=1,
            timestamp=BEGIN,
            event_id=EVENT_ID,
            channel="email",
            toggle=toggle,
            enabled=enabled,
            actor={"user": ANYBODY.name, "session": f"sess_{ANYBODY.name}"},
            request_id=REQUEST_ID,
            source=source,
            catalogue_version=1,
            organization=ANYBODY.organization,
            impersonated=impersonated,
        )
    )
