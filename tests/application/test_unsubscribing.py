"""What a link offers, records, and adds to a mail, against a store in memory."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from application.preferences.preferences import Preferences
from application.unsubscribing import SLICE, Subscription, Unsubscribing
from domain.catalogue import Catalogue, Channel, Toggle, Words
from domain.errors import NotFound, ValidationFailed
from domain.events import NotificationToggled
from domain.provenance import Source
from domain.send_question import SendQuestion
from infrastructure.unsubscribe.link_key import LinkKey
from infrastructure.unsubscribe.sealed_tokens import SealedTokens
from tests.support.events import ADA, KEY
from tests.support.links import SECRET, token
from tests.support.memory_store import MemoryStore

NEWS, ALERTS = Toggle("news", default=True), Toggle("alerts", default=True, mandatory=True)
CATALOGUE = Catalogue(3, (Channel("email", (NEWS, ALERTS)),))
TOKENS = SealedTokens([LinkKey.parse(SECRET)])
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def preferences(store: MemoryStore):
    ids = (f"event-{number}" for number in itertools.count(1))
    preferences = Preferences(store, ids, lambda: KEY)
    yield preferences
    await preferences.close()


@pytest.fixture
def unsubscribing(preferences: Preferences) -> Unsubscribing:
    return Unsubscribing(preferences, CATALOGUE, lambda: NOON, TOKENS, "https://mail.example.com/unsubscribe/")


async def click(unsubscribing: Unsubscribing, path: str, source: Source = Source.ONE_CLICK) -> None:
    offer = unsubscribing.offer(token("user_ada", "org_math", path))
    await unsubscribing.switch_off(offer, source, "request-1")


def toggled(store: MemoryStore) -> list[NotificationToggled]:
    return [event for event in store.log if isinstance(event, NotificationToggled)]


async def test_a_click_records_who_was_written_to_and_that_a_link_was_used(unsubscribing, store) -> None:
    await click(unsubscribing, "email.news", Source.LINK)
    [event] = toggled(store)
    assert (event.originator_id, event.path, event.enabled, event.previous) == (ADA, "email.news", False, None)
    assert (event.actor, event.organization, event.source) == ({"user": "user_ada"}, "org_math", "link")
    assert (event.request_id, event.timestamp, event.catalogue_version) == ("request-1", NOON, 3)


async def test_a_second_click_records_nothing(unsubscribing, store) -> None:
    for _ in range(3):
        await click(unsubscribing, "email.news")
    assert len(toggled(store)) == 1


async def test_clicks_are_counted_by_where_they_come_from(unsubscribing) -> None:
    await click(unsubscribing, "email.news", Source.LINK)
    await click(unsubscribing, "email.news")
    await click(unsubscribing, "email.news")
    assert unsubscribing.used == {Source.LINK: 1, Source.ONE_CLICK: 2}


async def test_looking_records_nothing_and_asks_the_store_nothing(unsubscribing, store) -> None:
    offer = unsubscribing.offer(token("user_ada", "org_math", "email.news"))
    assert (offer.subscription, offer.toggle, offer.refused) == (
        Subscription("org_math", "user_ada", "email.news"),
        NEWS,
        False,
    )
    assert (store.loads, store.log) == (0, [])


@pytest.mark.parametrize("path", ["email.former", "fax.news"])
async def test_what_has_left_the_catalogue_is_switched_off_in_case_it_comes_back(
    unsubscribing, store, path: str
) -> None:
    assert unsubscribing.offer(token("user_ada", "org_math", path)).toggle is None
    await click(unsubscribing, path)
    assert [(event.path, event.enabled) for event in toggled(store)] == [(path, False)]


async def test_what_became_mandatory_stays_on(unsubscribing, store) -> None:
    assert unsubscribing.offer(token("user_ada", "org_math", "email.alerts")).refused
    await click(unsubscribing, "email.alerts")
    assert store.log == []


def decided(*users: str, allowed: bool = True) -> list[dict[str, object]]:
    return [{"user": user, "allowed": allowed, "reason": "default", "version": 0, "position": None} for user in users]


def question(*users: str, toggle: Toggle = NEWS) -> SendQuestion:
    return SendQuestion("org_math", "email", toggle, users, unsubscribe=True)


async def test_each_mail_that_is_allowed_gets_its_headers(unsubscribing) -> None:
    allowed, refused = decided("user_ada"), decided("user_bob", allowed=False)
    await unsubscribing.add_headers(question("user_ada", "user_bob"), [*allowed, *refused])
    link = allowed[0]["list_unsubscribe"]
    assert link == f"<https://mail.example.com/unsubscribe/{token('user_ada', 'org_math', 'email.news')}>"
    assert allowed[0]["list_unsubscribe_post"] == "List-Unsubscribe=One-Click"
    assert allowed[0]["list_id"] == "News <news.email.mail.example.com>"
    assert refused == decided("user_bob", allowed=False)


async def test_more_users_than_are_handled_at_once_each_get_their_own_link(unsubscribing) -> None:
    users = [f"user_{number}" for number in range(2 * SLICE + 1)]
    decisions = decided(*users)
    await unsubscribing.add_headers(question(*users), decisions)
    made = [str(decision["list_unsubscribe"]).strip("<>").rpartition("/")[2] for decision in decisions]
    assert [TOKENS.read(each).user for each in made] == users


async def test_what_is_always_sent_gets_no_link(unsubscribing) -> None:
    decisions = decided("user_ada")
    await unsubscribing.add_headers(question("user_ada", toggle=ALERTS), decisions)
    assert decisions == decided("user_ada")


async def test_a_title_is_written_as_mail_headers_need_it(unsubscribing) -> None:
    for title, written in (
        ("What's new, and when", '"What\'s new, and when"'),
        ('Our "best"', r'"Our \"best\""'),
        ("Gr\u00fc\u00dfe", "=?utf-8?b?R3LDvMOfZQ==?="),
    ):
        decisions = decided("user_ada")
        await unsubscribing.add_headers(question("user_ada", toggle=replace(NEWS, words=Words(title, ""))), decisions)
        assert decisions[0]["list_id"] == f"{written} <news.email.mail.example.com>"


async def test_an_address_of_digits_is_no_domain_of_lists(preferences) -> None:
    decisions = decided("user_ada")
    local = Unsubscribing(preferences, CATALOGUE, lambda: NOON, TOKENS, "http://127.0.0.1:8000/unsubscribe/")
    await local.add_headers(question("user_ada"), decisions)
    assert decisions[0]["list_id"] == "News <news.email.localhost>"


@pytest.mark.parametrize(("tokens", "address"), [(None, "https://mail.example.com/"), (TOKENS, None)])
async def test_a_service_without_keys_or_address_makes_no_links(preferences, tokens, address) -> None:
    incomplete = Unsubscribing(preferences, CATALOGUE, lambda: NOON, tokens, address)
    with pytest.raises(ValidationFailed) as refused:
        await incomplete.add_headers(question("user_ada"), decided("user_ada"))
    assert refused.value.details == {"unsubscribe": "needs the settings PUBLIC_URL and UNSUBSCRIBE_KEYS"}


def test_a_service_without_keys_knows_no_link(preferences) -> None:
    with pytest.raises(NotFound):
        Unsubscribing(preferences, CATALOGUE, lambda: NOON, None, None).offer(token())
