"""Keys from a key server: which count, for how long, and how often it is asked."""

import asyncio
import json
import time

import pytest
from structlog.testing import capture_logs

from domain.errors import Unauthenticated, Unavailable
from infrastructure.identity.key_set import RemoteKeySet

HOUR = 60 * 60


@pytest.fixture
async def remote(key_server, clock, jwk, rsa_keys):
    """A started key set that knows `ours`."""
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    keys = RemoteKeySet(key_server.url, clock=clock)
    await keys.start()
    yield keys
    key_server.release.set()
    await keys.close()


def same(key, private) -> bool:
    return key.public_numbers() == private.public_key().public_numbers()


# Known keys never wait


async def test_known_keys_are_answered_without_asking_again(remote, key_server, rsa_keys):
    for _ in range(100):
        assert same(await remote.key_for("ours"), rsa_keys.ours)
    assert key_server.requests == 1
    assert remote.ready()


async def test_a_known_key_does_not_wait_for_a_slow_fetch(remote, key_server, clock):
    key_server.held = True
    key_server.asked.clear()
    clock.advance(31)
    unknown = asyncio.create_task(remote.key_for("unknown"))
    await asyncio.to_thread(key_server.asked.wait, 2)
    began = time.monotonic()
    for _ in range(100):
        await remote.key_for("ours")
    assert time.monotonic() - began < 0.1
    assert not unknown.done()
    key_server.release.set()
    with pytest.raises(Unauthenticated, match="unknown kid"):
        await unknown


async def test_ten_minutes_without_the_key_server_change_nothing_for_known_keys(remote, key_server, clock):
    key = await remote.key_for("ours")
    key_server.fail()
    for _ in range(60):
        clock.advance(10)
        await remote.refresh_if_due()
        assert await remote.key_for("ours") is key
    assert remote.ready()
    assert key_server.requests > 2


# Unknown kids are cheap


async def test_a_thousand_unknown_kids_at_once_cost_one_fetch(remote, key_server, clock):
    clock.advance(31)
    answers = await asyncio.gather(*(remote.key_for(f"kid {i}") for i in range(1000)), return_exceptions=True)
    assert {str(answer) for answer in answers} == {"unknown kid"}
    assert {type(answer) for answer in answers} == {Unauthenticated}
    assert key_server.requests == 2


@pytest.mark.parametrize("outcome", ["succeed", "fail"])
async def test_unknown_kids_cost_one_fetch_per_cooldown_however_fetches_end(outcome, remote, key_server, clock):
    if outcome == "fail":
        key_server.fail()
    for _ in range(90):
        clock.advance(1)
        with pytest.raises(Unauthenticated, match="unknown kid"):
            await remote.key_for("unknown")
    assert key_server.requests == 1 + 3


async def test_an_empty_kid_costs_no_fetch(remote, key_server, clock):
    clock.advance(31)
    with pytest.raises(Unauthenticated, match="unknown kid"):
        await remote.key_for("")
    assert key_server.requests == 1


async def test_a_caller_who_gives_up_does_not_take_the_fetch_away_from_others(remote, key_server, clock, jwk, rsa_keys):
    key_server.held = True
    key_server.asked.clear()
    key_server.serve(jwk(rsa_keys.other, "new"))
    clock.advance(31)
    hasty, patient = (asyncio.create_task(remote.key_for("new")) for _ in range(2))
    await asyncio.to_thread(key_server.asked.wait, 2)
    hasty.cancel()
    await asyncio.wait({hasty})
    assert hasty.cancelled()
    key_server.release.set()
    assert same(await patient, rsa_keys.other)


async def test_the_first_unknown_kid_after_a_fetch_of_the_background_is_looked_up_at_once(
    remote, key_server, clock, jwk, rsa_keys
):
    # Given a key that came up right after the start, and again right after a refresh
    for name, seconds in (("new", 1), ("newer", 121)):
        clock.advance(seconds)
        await remote.refresh_if_due()
        asked = key_server.requests
        key_server.serve(jwk(rsa_keys.ours, "ours"), jwk(rsa_keys.other, name))
        # when a token names it, then it counts, without waiting,
        assert same(await remote.key_for(name), rsa_keys.other)
        # and made-up names still cost nothing for a while.
        for _ in range(20):
            with pytest.raises(Unauthenticated, match="unknown kid"):
                await remote.key_for("made up")
        assert key_server.requests == asked + 1


async def test_the_key_server_is_asked_under_a_name_of_our_own(remote, key_server):
    assert key_server.agents == ["notification-preferences"]


# Rotation


async def test_a_new_key_is_accepted_when_a_token_first_names_it(remote, key_server, clock, jwk, rsa_keys):
    key_server.serve(jwk(rsa_keys.ours, "ours"), jwk(rsa_keys.other, "new"))
    clock.advance(31)
    assert same(await remote.key_for("new"), rsa_keys.other)


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_rotation_takes_effect_within_five_minutes_even_if_fetches_fail(
    lost, remote, key_server, clock, jwk, rsa_keys
):
    failing = key_server.requests + lost
    for _ in range(300):
        clock.advance(1)
        if key_server.requests < failing:
            key_server.fail()
        else:
            key_server.serve(jwk(rsa_keys.other, "new"))
        await remote.refresh_if_due()
    assert same(remote.current("new"), rsa_keys.other)
    assert remote.current("ours") is None
    with pytest.raises(Unauthenticated, match="unknown kid"):
        await remote.key_for("ours")


async def test_the_background_refreshes_without_traffic(key_server, jwk, rsa_keys):
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    keys = RemoteKeySet(key_server.url, refresh_every=0.02, cooldown=0.01)
    await keys.start()
    await keys.start()
    key_server.fail()
    await asyncio.sleep(0.05)
    key_server.serve(jwk(rsa_keys.other, "new"))
    async with asyncio.timeout(2):
        while keys.current("new") is None:  # noqa: ASYNC110 - there is no event to wait for, and that is the point
            await asyncio.sleep(0.01)
    assert keys.current("ours") is None
    await keys.close()
    await asyncio.sleep(0.1)  # what was on its way in a thread, which nobody can stop, may still arrive
    asked = key_server.requests
    await asyncio.sleep(0.1)
    assert key_server.requests == asked


async def test_an_unchanged_key_stays_the_same_object_and_a_changed_one_does_not(
    remote, key_server, clock, jwk, rsa_keys
):
    before = remote.current("ours")
    clock.advance(121)
    await remote.refresh_if_due()
    assert key_server.requests == 2
    assert remote.current("ours") is before
    key_server.serve(jwk(rsa_keys.other, "ours"))
    clock.advance(121)
    await remote.refresh_if_due()
    assert same(remote.current("ours"), rsa_keys.other)


# Outages


async def test_starting_without_the_key_server_is_no_error_but_not_ready(key_server, clock, jwk, rsa_keys):
    key_server.fail()
    keys = RemoteKeySet(key_server.url, clock=clock)
    await keys.start()
    assert not keys.ready()
    clock.advance(10)
    with pytest.raises(Unavailable) as refused:
        await keys.key_for("ours")
    assert refused.value.retry_after == 20
    assert key_server.requests == 1
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    clock.advance(20)
    assert same(await keys.key_for("ours"), rsa_keys.ours)
    assert keys.ready()
    await keys.close()


async def test_known_keys_serve_for_a_day_of_outage_and_not_longer(remote, key_server, clock, rsa_keys):
    key_server.fail()
    clock.advance(24 * HOUR)
    await remote.refresh_if_due()
    assert same(await remote.key_for("ours"), rsa_keys.ours)
    clock.advance(1)
    assert not remote.ready()
    assert remote.current("ours") is None
    with pytest.raises(Unavailable, match="no usable signing keys"):
        await remote.key_for("ours")


async def test_keys_count_again_as_soon_as_the_outage_ends(remote, key_server, clock, jwk, rsa_keys):
    key_server.fail()
    clock.advance(25 * HOUR)
    with pytest.raises(Unavailable):
        await remote.key_for("ours")
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    clock.advance(30)
    assert same(await remote.key_for("ours"), rsa_keys.ours)


async def test_a_fetch_that_never_ends_is_given_up(clock):
    async def never(_url):
        await asyncio.Event().wait()

    keys = RemoteKeySet("https://clerk.example.com/", never, clock, patience=0.01)
    with capture_logs() as logs:
        await keys.start()
    assert logs[0]["error"] == "TimeoutError"
    assert not keys.ready()
    await keys.close()


async def test_closing_during_a_fetch_leaves_nothing_behind(clock):
    async def never(_url):
        await asyncio.Event().wait()

    keys = RemoteKeySet("https://clerk.example.com/", never, clock)
    starting = asyncio.create_task(keys.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await keys.close()
    await starting
    await keys.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# What the key server sends


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe\xfd",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": []}',
        b'{"keys": [null, 1, "x", {}]}',
        b"[" * 100_000,
        b'{"keys": [' + b"1" * 5000 + b"]}",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
async def test_a_malformed_or_empty_set_is_a_failed_fetch_and_the_old_keys_stay(body, remote, key_server, clock):
    before = remote.current("ours")
    key_server.body = body
    clock.advance(121)
    with capture_logs() as logs:
        await remote.refresh_if_due()
    assert [line["event"] for line in logs] == ["keys_unreachable"]
    assert remote.current("ours") is before
    clock.advance(24 * HOUR - 120)
    assert not remote.ready()


async def test_single_unusable_keys_are_passed_over(key_server, clock, jwk, rsa_keys):
    good = jwk(rsa_keys.other, None)
    key_server.serve(
        jwk(rsa_keys.other, None),
        jwk(rsa_keys.other, ""),
        {**good, "kid": 1},
        {**good, "kid": ["list"]},
        jwk(rsa_keys.short, "short"),
        jwk(rsa_keys.other, "for encryption", use="enc"),
        jwk(rsa_keys.other, "not for verifying", key_ops=["encrypt"]),
        jwk(rsa_keys.other, "other algorithm", alg="RS512"),
        jwk(rsa_keys.other, "other kind", kty="EC"),
        jwk(rsa_keys.other, "no modulus", n=None),
        jwk(rsa_keys.other, "modulus of another type", n=5),
        jwk(rsa_keys.other, "bad exponent", e="AA"),
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        "not an object",
        jwk(rsa_keys.ours, "ours"),
        jwk(rsa_keys.other, "ours"),
        {"kty": "RSA", "kid": "bare", "n": good["n"], "e": good["e"]},
    )
    keys = RemoteKeySet(key_server.url, clock=clock)
    with capture_logs() as logs:
        await keys.start()
    assert [(line["event"], line["kids"]) for line in logs] == [("keys_changed", ["bare", "ours"])]
    assert same(keys.current("ours"), rsa_keys.ours)
    await keys.close()


async def test_key_material_is_never_logged(remote, key_server, clock, jwk, rsa_keys):
    described = jwk(rsa_keys.other, "new")
    with capture_logs() as logs:
        for body in (json.dumps({"keys": [described]}), json.dumps({"keys": [described]})[:-2], json.dumps(described)):
            key_server.body = body.encode()
            clock.advance(121)
            await remote.refresh_if_due()
    assert len(logs) == 3
    assert described["n"][:20] not in str(logs)
