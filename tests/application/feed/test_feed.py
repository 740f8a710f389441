"""The feed: what is selected, and going through it piece by piece."""

from contextlib import aclosing
from datetime import timedelta

import orjson
import pytest

from application.feed.feed import CHUNK, EVERYTHING, Selection, Slice, as_json, readable, select, slices
from application.log import Recorded, UnreadableEvent
from domain.catalogue import CATALOGUE as CATALOGUE_IN_FORCE
from domain.errors import ValidationFailed
from domain.events import NotificationToggled, PreferencesErased
from domain.isolation import PLATFORM
from projections.cloud_events import cloud_event
from tests.support.events import ADA, BOB, NOON, catalogue_published, erased, opened, toggled
from tests.support.memory_feed import BrokenFeed, MemoryFeed

OPENED, DIGEST, ALERTS, ERASED = (
    opened(ADA),
    toggled(2, "weekly_usage_digest", True),
    toggled(3, "delivery_alerts", False, channel="in_app"),
    erased(4),
)
CATALOGUE = catalogue_published()
NOBODYS = toggled(2, "weekly_usage_digest", True, BOB)
EVENTS = (OPENED, DIGEST, ALERTS, ERASED, CATALOGUE, NOBODYS)


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (EVERYTHING, EVENTS),
        (Selection(organization="org_math"), (OPENED, DIGEST, ALERTS, ERASED, CATALOGUE)),
        (Selection(organization="org_chess"), (CATALOGUE,)),
        (Selection(kind=NotificationToggled), (DIGEST, ALERTS, NOBODYS)),
        (Selection(kind=PreferencesErased, organization="org_math"), (ERASED,)),
        (Selection(channel="in_app"), (ALERTS,)),
        (Selection(toggle="weekly_usage_digest"), (DIGEST, NOBODYS)),
        (Selection(channel="in_app", toggle="weekly_usage_digest"), ()),
        (Selection(channel="email", kind=PreferencesErased), ()),
    ],
)
def test_a_selection_has_what_fits_all_of_it(selection, selected) -> None:
    assert tuple(event for event in EVENTS if selection.has(event)) == selected


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        ((None, None, None, None), EVERYTHING),
        (("org_math", None, None, None), Selection(organization="org_math")),
        ((None, "notification-preferences.erased.v1", None, None), Selection(kind=PreferencesErased)),
        ((None, None, "email", "product_updates"), Selection(channel="email", toggle="product_updates")),
        ((None, None, None, "product_updates"), Selection(toggle="product_updates")),
    ],
)
def test_what_outsiders_ask_for_is_a_selection(words, selection) -> None:
    assert select(CATALOGUE_IN_FORCE, *words) == selection


@pytest.mark.parametrize(
    ("words", "details"),
    [
        ((None, "toggled", None, None), {"type": "unknown type"}),
        ((None, None, "fax", "product_updates"), {"channel": "unknown channel"}),
        ((None, None, "email", "product_news"), {"toggle": "unknown toggle"}),
        ((None, None, None, "security_alerts"), {"toggle": "unknown toggle"}),
        (("org_math", "x", "y", "z"), {"type": "unknown type", "channel": "unknown channel"}),
    ],
)
def test_a_word_that_the_log_cannot_have_is_refused(words, details) -> None:
    with pytest.raises(ValidationFailed) as refused:
        select(CATALOGUE_IN_FORCE, *words)
    assert refused.value.details == details


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("time", [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(milliseconds=120)])
def test_an_event_leaves_the_house_as_a_cloud_event(event, time) -> None:
    object.__setattr__(event, "timestamp", time)
    assert orjson.loads(as_json(Recorded(7, event))) == cloud_event(7, event)


async def all_of(feed: MemoryFeed, after: int, end: int, selection: Selection = EVERYTHING) -> list[Slice]:
    async with aclosing(slices(feed, after, end, selection)) as pieces:
        return [piece async for piece in pieces]


async def test_pieces_follow_each_other_without_a_gap_or_a_repeat_up_to_the_end() -> None:
    feed = MemoryFeed(*(toggled(2, "delivery_alerts", True) for _ in range(2 * CHUNK + 10)))
    pieces = await all_of(feed, 30, feed.positions[-1])
    assert [recorded for piece in pieces for recorded in piece.events] == feed.log[10:]
    assert [len([*piece.events]) for piece in pieces] == [CHUNK, CHUNK]
    assert [piece.more for piece in pieces] == [True, False]
    assert pieces[-1].position == feed.positions[-1]


async def test_what_was_recorded_after_the_end_is_left_to_the_next_one() -> None:
    feed = MemoryFeed(*(toggled(2, "delivery_alerts", True) for _ in range(20)))
    [piece] = await all_of(feed, 0, 30)
    assert [recorded.position for recorded in piece.events] == list(range(3, 31, 3))
    assert piece.position == 30


async def test_a_position_beyond_the_end_stays_where_it_is() -> None:
    assert await all_of(MemoryFeed(OPENED), 100, 3) == [Slice([], 100, more=False)]


async def test_a_long_search_moves_on_without_finding_anything() -> None:
    feed = MemoryFeed(*EVENTS, searched=2)
    pieces = await all_of(feed, 0, feed.positions[-1], Selection(kind=PreferencesErased))
    assert [(piece.position, len([*piece.events])) for piece in pieces] == [(6, 0), (12, 1), (18, 0)]


async def test_a_reader_who_leaves_early_leaves_nothing_behind() -> None:
    feed = MemoryFeed(*EVENTS, searched=1)
    async with aclosing(slices(feed, 0, feed.positions[-1], EVERYTHING)) as pieces:
        assert (await anext(pieces)).position == 3


async def test_a_piece_ends_before_an_event_that_can_not_be_read_and_the_next_one_begins_with_it() -> None:
    feed = BrokenFeed(*EVENTS, readable_to=10)
    made, position, more, unreadable = readable(await feed.read(0, 10, EVERYTHING), PLATFORM, lambda one: one.position)
    assert (made, position, more) == ([3, 6, 9], 11, True)
    assert unreadable is not None
    with pytest.raises(UnreadableEvent):
        readable(await feed.read(position, 10, EVERYTHING), PLATFORM, as_json)
    assert readable(await feed.read(0, 3, EVERYTHING), PLATFORM, as_json).unreadable is None


@pytest.mark.parametrize(("end", "told"), [(9, [3, 6, 9]), (6, [3, 6])])
async def test_one_behind_the_end_stops_nobody_who_reads_up_to_there(end: int, told: list[int]) -> None:
    [piece] = await all_of(BrokenFeed(*EVENTS, readable_to=10), 0, end)
    assert [recorded.position for recorded in piece.events] == told


async def test_one_before_the_end_stops_everybody() -> None:
    [piece] = await all_of(BrokenFeed(*EVENTS, readable_to=10), 0, 12)
    with pytest.raises(UnreadableEvent):
        list(piece.events)


async def test_what_is_left_out_behind_the_end_is_nobodys_concern() -> None:
    feed = MemoryFeed(OPENED, DIGEST, ALERTS)
    [piece] = await all_of(feed, 0, 6, Selection(toggle="weekly_usage_digest"))
    assert [recorded.position for recorded in piece.events] == [6]
    assert piece.position == 6
