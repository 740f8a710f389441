"""The unsubscribe link over HTTP: what a provider, a person and a scanner get of it."""

import asyncio
import random
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from ulid_transform import ulid_now

from api.pages.unsubscribe import unsubscribe
from application.erasure import Erasure
from application.unsubscribing import Offer, Subscription
from domain.catalogue import CATALOGUE, Toggle, Words
from domain.preferences import stream_id
from domain.provenance import ERASED
from infrastructure.erasure.erasure import PostgresErasures
from infrastructure.postgres.database_clock import DatabaseClock
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.command import Command
from tests.support.eventually import until
from tests.support.links import FORMER_SECRET, ONE_CLICK, PUBLIC_URL, SECRET, link, token
from tests.support.patient_database import patient_database
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

NEWS = CATALOGUE.toggle("email", "product_updates")
SCANNERS, AT_ONCE = rounds(40, 200), 10
VISITS = 5
BY_PAGE = {"List-Unsubscribe": "Link"}


@pytest.fixture
def history(http) -> Callable[..., Any]:
    async def read(user: str, organization: str | None = "org_math") -> list[dict[str, Any]]:
        return (await http.get(f"{PATH}/history", headers=bearer(user, organization))).json()["data"]

    return read


@pytest.fixture
def resolved(http) -> Callable[..., Any]:
    async def read(user: str, organization: str | None = "org_math") -> dict[str, bool]:
        return (await http.get(PATH, headers=bearer(user, organization))).json()["data"]["email"]

    return read


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ({"data": ONE_CLICK}, "one_click"),
        ({"files": {"List-Unsubscribe": (None, "One-Click")}}, "one_click"),
        ({"data": BY_PAGE}, "link"),
    ],
    ids=["urlencoded", "multipart", "page"],
)
async def test_a_click_switches_off_what_the_link_names_and_nothing_else(
    http, fresh_user, resolved, history, body, source: str
) -> None:
    user = fresh_user()
    before = await resolved(user)
    for _ in range(3):
        response = await http.post(link(user), **body)
        assert (response.status_code, response.headers.get("location"), response.cookies) == (200, None, {})
    assert await resolved(user) == {**before, NEWS.name: False}
    [change] = await history(user)
    assert (change["source"], change["actor"]) == (source, {"kind": "customer", "label": "unsubscribe link"})
    assert (change["toggle"], change["enabled"], change["previous"]) == (NEWS.name, False, None)


async def test_again_and_again_it_is_answered_alike(http, fresh_user) -> None:
    answers = [await http.post(link(fresh_user()), data=ONE_CLICK) for _ in range(2)]
    user = fresh_user()
    answers += [await http.post(link(user), data=ONE_CLICK) for _ in range(3)]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1


async def test_a_user_who_chose_to_get_it_again_can_switch_it_off_again(http, fresh_user, resolved, history) -> None:
    user = fresh_user()
    await http.post(link(user), data=ONE_CLICK)
    await http.patch(PATH, json={"email": {NEWS.name: True}}, headers=bearer(user))
    assert (await resolved(user))[NEWS.name] is True
    await http.post(link(user), data=ONE_CLICK)
    assert (await resolved(user))[NEWS.name] is False
    assert [change["source"] for change in await history(user)] == ["one_click", "dashboard", "one_click"]


async def test_a_user_without_an_organization_and_one_in_another_are_others(http, fresh_user, events_of) -> None:
    user = fresh_user()
    await http.post(link(user, None), data=ONE_CLICK)
    assert [events_of(user, organization) for organization in ("org_math", None, "org_chess")] == [0, 2, 0]


def scans(address: str, chance: random.Random) -> list[tuple[str, str, dict[str, Any]]]:
    """What a scanner does with a link."""
    junk = chance.randbytes(chance.randint(0, 200))
    return [
        ("GET", address, {}),
        ("HEAD", address, {}),
        ("GET", f"{address}?utm_source=mail", {}),
        ("POST", address, {}),
        ("POST", address, {"content": junk, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        ("POST", address, {"content": junk, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
        ("POST", address, {"data": {"email": "scanner@example.com", "submit": "Unsubscribe"}}),
        ("POST", address, {"data": {"List-Unsubscribe": chance.choice(["", "1", "on", "true", "one-click"])}}),
        ("POST", address, {"json": ONE_CLICK}),
        ("POST", f"{address}?List-Unsubscribe=One-Click", {}),
        ("PUT", address, {"data": ONE_CLICK}),
        ("DELETE", address, {}),
        ("OPTIONS", address, {}),
    ]


@soak
async def test_however_many_scanners_change_nothing_and_the_click_after_them_does(http, fresh_user, events_of) -> None:
    user = fresh_user()
    kinds = [token(user, path=path) for path in CATALOGUE.defaults]
    at_once = asyncio.Semaphore(AT_ONCE)
    done: set[tuple[str, int]] = set()

    async def scan(number: int) -> list[httpx.Response]:
        chance = random.Random(number)
        kind = kinds[number % len(kinds)]
        visits = scans(f"/unsubscribe/{kind}", chance)
        chosen = chance.sample(range(len(visits)), VISITS)
        done.update((kind, visit) for visit in chosen)
        async with at_once:
            return [await http.request(method, url, **sent) for method, url, sent in (visits[one] for one in chosen)]

    # When scanners do what scanners do, with every link of a user's mails
    answers = [answer for scanned in await asyncio.gather(*map(scan, range(SCANNERS))) for answer in scanned]
    # then they get their answers, and nothing is recorded,
    assert len(answers) == SCANNERS * VISITS
    assert {kind for kind, _ in done} == {*kinds}
    assert {visit for _, visit in done} == {*range(len(scans("", random.Random(0))))}
    assert {answer.status_code for answer in answers} == {200, 400, 405}
    assert events_of(user) == 0
    # while the click that they left alone is.
    assert (await http.post(link(user), data=ONE_CLICK)).status_code == 200
    assert events_of(user) == 2


async def test_looking_shows_what_would_be_switched_off(http, fresh_user, events_of) -> None:
    user = fresh_user()
    shown = await http.get(link(user))
    assert shown.status_code == 200
    assert NEWS.title in shown.text
    assert NEWS.description in shown.text
    assert '<form method="post"><button name="List-Unsubscribe" value="Link">' in shown.text
    assert user not in shown.text
    assert "org_math" not in shown.text
    head = await http.head(link(user))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(shown.content))
    assert events_of(user) == 0


async def test_a_page_keeps_the_link_to_itself(http, fresh_user) -> None:
    headers = (await http.get(link(fresh_user()))).headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"] == "noindex"
    assert "set-cookie" not in headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


async def test_a_click_needs_no_cookie_no_origin_and_no_session(server, fresh_user, resolved) -> None:
    for origin in ("null", "https://mail.example.org"):
        user = fresh_user()
        async with httpx.AsyncClient(
            base_url=server.url, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        ) as provider:
            response = await provider.post(link(user), data=ONE_CLICK)
        assert response.status_code == 200
        assert (await resolved(user))[NEWS.name] is False


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_an_altered_link_is_not_found_and_says_so_in_a_sentence(http, fresh_user, events_of, method: str) -> None:
    user = fresh_user()
    made = token(user)
    body = {"data": ONE_CLICK} if method == "POST" else {}
    chance = random.Random(20260704)
    altered = {
        made[:-1],
        made[1:],
        f"{made}A",
        f"{made}%00",
        f"{made}/",
        f"a/{made}",
        made.swapcase(),
        "x",
        "%C3%A9",
        "%FF",
    }
    altered |= {made[:at] + chr(ord(made[at]) ^ 1) + made[at + 1 :] for at in chance.sample(range(len(made)), 10)}
    for each in altered:
        response = await http.request(method, f"/unsubscribe/{each}", **body)
        assert response.status_code == 404, each
        if method != "HEAD":
            assert "This link doesn&#x27;t work" in response.text
    assert events_of(user) == 0
    # Control: unaltered it is found, also if a proxy writes its characters in another way.
    spelt = "".join(f"%{ord(character):02X}" for character in made)
    assert (await http.request(method, f"/unsubscribe/{spelt}", **body)).status_code == 200


async def test_links_of_a_former_key_still_work_and_those_of_an_unknown_one_do_not(http, fresh_user, resolved) -> None:
    user = fresh_user()
    assert (await http.post(link(user, secret=SECRET[::-1].strip("=") + "="), data=ONE_CLICK)).status_code == 404
    assert (await resolved(user))[NEWS.name] is True
    assert (await http.post(link(user, secret=FORMER_SECRET), data=ONE_CLICK)).status_code == 200
    assert (await resolved(user))[NEWS.name] is False


async def test_a_link_of_an_erased_person_still_switches_off_without_naming_the_person(
    server, http, fresh_user, resolved, history
) -> None:
    # Given a person who was erased
    user = fresh_user()
    await http.patch(PATH, json={"email": {NEWS.name: True}}, headers=bearer(user))
    async with patient_database(server.database_url) as database:
        erasure = Erasure(PostgresErasures(database), CATALOGUE, iter(ulid_now, None), DatabaseClock())
        assert (await erasure.erase("org_math", user)).destroyed
    # when the links in two old mails are used, then the choices are recorded,
    for toggle in (NEWS.name, "delivery_alerts"):
        assert (await http.post(link(user, path=f"email.{toggle}"), data=ONE_CLICK)).status_code == 200
        assert (await resolved(user))[toggle] is False
    # and the log still doesn't name the person.
    entry, *_ = await history(user)
    assert entry["actor"] == {"kind": "customer", "label": "unsubscribe link"}
    async with patient_database(server.database_url) as database:
        clicks = await PostgresPreferencesStore(database).changes(stream_id("org_math", user), up_to=None, limit=2)
        assert [click.actor for click in clicks] == [ERASED, ERASED]
        # So there is nothing to erase.
        erasure = Erasure(PostgresErasures(database), CATALOGUE, iter(ulid_now, None), DatabaseClock())
        assert await erasure.erase("org_math", user) == (False, 0, 0)


def test_an_operator_sees_that_the_bearer_of_a_link_acted(server, fresh_user, folder, monkeypatch, capsys) -> None:
    user = fresh_user()
    assert httpx.post(f"{server.url}{link(user)}", data=ONE_CLICK).status_code == 200
    preferences = Command(folder / "data", server.database_url)
    asked = ["--org", "org_math", "--user", user]
    decision = ["--channel", "email", "--toggle", NEWS.name, "--not-allowed", "--reason", "choice"]
    explained = preferences.inside(monkeypatch, capsys, "audit", "explain", *asked, *decision)
    assert explained.returncode == 0, explained
    assert re.search(rf"(?m)^who +unsubscribe link of {user} *$", explained.stdout)
    assert re.search(r"(?m)^source +one_click *$", explained.stdout)
    listed = preferences.inside(monkeypatch, capsys, "history", *asked, columns=200)
    assert f"unsubscribe link of {user}" in listed.stdout


async def test_what_has_left_the_catalogue_is_said_to_be_gone_and_is_recorded(http, fresh_user, query) -> None:
    user = fresh_user()
    former = link(user, path="email.holiday_greetings")
    shown = await http.get(former)
    assert shown.status_code == 200
    assert "aren&#x27;t sent any more" in shown.text
    assert "Holiday greetings" in shown.text
    done = await http.post(former, data=ONE_CLICK)
    assert (done.status_code, "You are unsubscribed" in done.text) == (200, True)
    [(choices,)] = query(
        "SELECT choices FROM current_preferences WHERE originator_id = %s", [stream_id("org_math", user)]
    )
    assert choices == {"email.holiday_greetings": False}


async def test_what_became_mandatory_is_said_to_be_necessary(http, fresh_user, events_of) -> None:
    user = fresh_user()
    necessary = link(user, path="email.security_alerts")
    for response in (await http.get(necessary), await http.post(necessary, data=ONE_CLICK)):
        assert response.status_code == 200
        assert "can't be switched off" in response.text
        assert "<form" not in response.text
    assert events_of(user) == 0


@pytest.mark.parametrize(
    "user", ["<script>alert(1)</script>", "\"'><img/src=x/onerror=alert(1)>", "{title}{sentence}", "%00%0d%0aX:1"]
)
async def test_markup_in_ids_reaches_no_page_and_no_header(http, user: str) -> None:
    address = link(user, "<b>org</b>", f"email.{user}")
    for response in (await http.get(address), await http.post(address, data=ONE_CLICK)):
        assert response.status_code == 200
        assert re.findall(r"<(?:script|img|b)\b", response.text) == []
    body = {"channel": "email", "toggle": NEWS.name, "users": [user], "unsubscribe": True}
    answer = await http.post("/v1/decisions", json=body, headers=bearer("user_grace", role="admin"))
    [decision] = answer.json()["data"]["decisions"]
    assert re.fullmatch(rf"<{PUBLIC_URL}/unsubscribe/[\w-]+>", decision["list_unsubscribe"])


def test_markup_in_the_words_of_the_catalogue_stays_text() -> None:
    hostile = Words("<script>alert(1)</script>{title}", '"><img src=x onerror=alert(1)>')
    for toggle in (Toggle("news", default=True, words=hostile), Toggle("news", True, mandatory=True, words=hostile)):
        offer = Offer(Subscription(None, "user_ada", "email.news"), toggle)
        for answer in (unsubscribe.offered(offer, choose=True), unsubscribe.done(offer, choose=False)):
            assert re.findall(rb"<(?:script|img)\b", answer.body) == []
            assert b"&lt;script&gt;alert(1)&lt;/script&gt;{title}" in answer.body


async def test_no_page_leads_to_another_on_which_the_person_can_not_sign_in(http, fresh_user) -> None:
    # Given a service without CLERK_PUBLISHABLE_KEY, whose page /preferences answers 404
    assert (await http.get("/preferences")).status_code == 404
    user = fresh_user()
    for response in (
        await http.get(link(user)),
        await http.post(link(user)),
        await http.post(link(user), data=ONE_CLICK),
    ):
        assert "All other messages stay as they are." in response.text
        assert "../preferences" not in response.text


async def test_the_log_of_requests_has_no_link(server: Server, http, fresh_user) -> None:
    made = [token(fresh_user()) for _ in range(4)]
    begin = len(server.log())
    await http.get(f"/unsubscribe/{made[0]}")
    await http.post(f"/unsubscribe/{made[1]}", data=ONE_CLICK)
    await http.get(f"/unsubscribe/{made[2]}/")
    await http.get(f"/preferences/unsubscribe/{made[3]}")
    until(lambda: server.log(begin).count(b'"path":') >= 4)  # a line may come after its answer
    lines = server.log(begin).decode()
    assert lines.count('"path":"/unsubscribe/{token}"') == 3
    assert lines.count('"path":"/preferences/unsubscribe/{token}"') == 1
    assert [each for each in made if each in lines] == []
    measured = (await http.get("/metrics")).text
    assert 'http_route="/unsubscribe/{token}"' in measured
    assert not any(each in measured for each in made)
