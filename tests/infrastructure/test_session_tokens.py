import asyncio
import base64
import json
from types import SimpleNamespace

import jwt
import pytest

from application.identity import UserSession
from domain.errors import Unauthenticated, Unavailable
from infrastructure.key_set import FixedKey, RemoteKeySet
from infrastructure.session_tokens import LEEWAY, LONGEST, ClerkSessions

ISSUER = "https://clerk.example.com"
APP = "https://app.example.com"
SESSION, TEMPLATE, MACHINE, UNSPECIFIED = (
    "cl_B7d4PD111AAA",
    "cl_B7d4PD222AAA",
    "cl_B7d4PD333AAA",
    "cl_I7d4PD111III",
)


@pytest.fixture
def fixed_key(rsa_keys, public_pem):
    return FixedKey(public_pem(rsa_keys.ours))


@pytest.fixture
def sessions(fixed_key, clock):
    return ClerkSessions(fixed_key, issuer=ISSUER, authorized_parties=frozenset({APP}), clock=clock)


@pytest.fixture
async def remote(key_server, clock, jwk, rsa_keys):
    """Sessions whose keys come from a real key server, which knows `ours`."""
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    keys = RemoteKeySet(key_server.url, clock=clock)
    await keys.start()
    sessions = ClerkSessions(keys, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    yield SimpleNamespace(keys=keys, sessions=sessions)
    await keys.close()


async def refusal(sessions: ClerkSessions, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await sessions.verify(token)
    assert refused.value.token_sent
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert sessions.recall(token) is None
    if len(token) > 10:
        assert token not in str(refused.value)
    return refused.value.reason


def raw(header: bytes, payload: bytes = b"{}", signature: bytes = b"signature") -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, payload, signature))


def without(text: str, absent):
    return absent if text == "absent" else text


# What is accepted


async def test_a_session_token_is_accepted_for_what_it_says(sessions, token, clock):
    assert await sessions.verify(token()) == UserSession("user_1", "sess_1", None, None, None, clock.now + 60)
    assert sessions.ready()


@pytest.mark.parametrize("category", ["absent", SESSION, UNSPECIFIED])
@pytest.mark.parametrize("type_", ["absent", "JWT"])
async def test_session_tokens_old_and_new_are_accepted_by_their_headers(category, type_, sessions, token, absent):
    made = token(header={"cat": without(category, absent), "typ": without(type_, absent)})
    assert (await sessions.verify(made)).user == "user_1"


async def test_unknown_headers_are_ignored(sessions, token):
    assert (await sessions.verify(token(header={"new": {"thing": 1}}))).user == "user_1"


async def test_one_configured_key_needs_no_kid(sessions, token, absent):
    assert (await sessions.verify(token(header={"kid": absent}))).user == "user_1"


@pytest.mark.parametrize("azp", ["absent", "https://elsewhere.example.com"])
async def test_without_configured_parties_azp_is_not_looked_at(azp, fixed_key, clock, token, absent):
    sessions = ClerkSessions(fixed_key, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    assert (await sessions.verify(token({"azp": without(azp, absent)}))).user == "user_1"


@pytest.mark.parametrize(
    ("claims", "organization", "role"),
    [
        ({"v": 1}, None, None),
        ({"v": "absent"}, None, None),
        ({"v": 1, "org_id": None, "org_role": None}, None, None),
        ({"v": "absent", "org_id": "org_1", "org_slug": "one", "org_role": "org:admin"}, "org_1", "admin"),
        ({"v": 1, "org_id": "org_1", "org_role": "org:billing:reader"}, "org_1", "billing:reader"),
        ({"v": 1, "org_id": "org_1"}, "org_1", None),
        ({"v": 1, "o": {"id": "org_2", "rol": "admin"}}, None, None),
        ({"v": 2}, None, None),
        ({"v": 2, "o": None}, None, None),
        ({"v": 2, "o": {"id": "org_1", "slg": "one", "rol": "admin", "per": "", "fpm": ""}}, "org_1", "admin"),
        ({"v": 2, "o": {"id": "org_1"}}, "org_1", None),
        ({"v": 2, "org_id": "org_2", "org_role": "org:admin"}, None, None),
    ],
)
async def test_the_active_organization_is_read_where_the_version_keeps_it(
    claims, organization, role, sessions, token, absent
):
    made = token({name: without(value, absent) for name, value in claims.items()})
    session = await sessions.verify(made)
    assert (session.organization, session.role) == (organization, role)


@pytest.mark.parametrize("version", ["absent", 2])
async def test_an_impersonator_is_known_by_name(version, sessions, token, absent):
    made = token({"v": without(version, absent), "act": {"iss": ISSUER, "sid": "sess_2", "sub": "user_2"}})
    session = await sessions.verify(made)
    assert (session.user, session.impersonator) == ("user_1", "user_2")


@pytest.mark.parametrize(
    "claims",
    [
        {"sts": "active"},
        {"pla": "u:free", "fea": "u:dark_mode"},
        {"exp": 1_760_000_060.5},
        {"nbf": 0},
        {"fva": "absent", "jti": "absent"},
    ],
)
async def test_claims_of_other_shapes_that_are_fine_are_accepted(claims, sessions, token, absent):
    made = token({name: without(value, absent) for name, value in claims.items()})
    assert (await sessions.verify(made)).user == "user_1"


@pytest.mark.parametrize(
    ("claims", "seconds"), [({}, 60 + LEEWAY - 1), ({"nbf": 1_760_000_005}, 0), ({"iat": 1_760_000_005}, 0)]
)
async def test_two_clocks_may_be_five_seconds_apart(claims, seconds, sessions, token, clock):
    clock.advance(seconds)
    assert (await sessions.verify(token(claims))).user == "user_1"


# Time


@pytest.mark.parametrize(
    ("claims", "seconds", "reason"),
    [
        ({}, 60 + LEEWAY, "expired"),
        ({}, 3600, "expired"),
        ({"exp": 0}, 0, "expired"),
        ({"exp": -1}, 0, "expired"),
        ({"nbf": 1_760_000_006}, 0, "not yet valid"),
        ({"iat": 1_760_000_006}, 0, "not yet valid"),
    ],
)
async def test_a_token_counts_only_in_its_time(claims, seconds, reason, sessions, token, clock):
    clock.advance(seconds)
    assert await refusal(sessions, token(claims)) == reason


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["absent", None, "1760000060", True, [1_760_000_060], {}, 2**53, 10**4000])
async def test_times_must_be_numbers_that_a_clock_can_show(name, value, sessions, token, absent):
    made = token({name: absent if value == "absent" else value})
    assert await refusal(sessions, made) == f"{name} missing or malformed"


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity"])
async def test_times_beyond_numbers_are_refused(literal, sessions, token):
    payload = f'{{"iss": "{ISSUER}", "sub": "user_1", "sid": "s", "iat": 1, "nbf": 1, "exp": {literal}}}'
    assert await refusal(sessions, token(payload=payload.encode())) == "exp missing or malformed"


# Who and for whom


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "absent"}, "wrong issuer"),
        ({"iss": "https://clerk.example.com.evil.example"}, "wrong issuer"),
        ({"iss": ISSUER + "/"}, "wrong issuer"),
        ({"iss": "HTTPS://CLERK.EXAMPLE.COM"}, "wrong issuer"),
        ({"iss": [ISSUER]}, "wrong issuer"),
        ({"azp": "absent"}, "azp missing"),
        ({"azp": None}, "azp missing"),
        ({"azp": [APP]}, "azp missing"),
        ({"azp": APP + "/"}, "azp not authorized"),
        ({"azp": "https://evil.example"}, "azp not authorized"),
        ({"aud": "https://other.example.com"}, "meant for another audience"),
        ({"sub": "absent"}, "sub missing or malformed"),
        ({"sub": ""}, "sub missing or malformed"),
        ({"sub": 1}, "sub missing or malformed"),
        ({"sub": "user_\x00"}, "sub missing or malformed"),
        ({"sub": "user_\ud800"}, "sub missing or malformed"),
        ({"sub": "user_1\n"}, "sub missing or malformed"),
        ({"sub": "user_" + "1" * 300}, "sub missing or malformed"),
        ({"sub": "user_"}, "subject is not a user"),
        ({"sub": "mch_1"}, "subject is not a user"),
        ({"sub": "User_1"}, "subject is not a user"),
        ({"sub": "org_1"}, "subject is not a user"),
        ({"sid": "absent"}, "sid missing or malformed"),
        ({"sid": None}, "sid missing or malformed"),
        ({"sid": ""}, "sid missing or malformed"),
        ({"sid": 7}, "sid missing or malformed"),
        ({"sts": "pending"}, "session pending"),
        ({"sts": 1}, "sts malformed"),
        ({"v": 3}, "unknown version of claims"),
        ({"v": "2"}, "unknown version of claims"),
        ({"v": True}, "unknown version of claims"),
        ({"v": 2.0}, "unknown version of claims"),
        ({"v": None}, "unknown version of claims"),
        ({"o": "org_1"}, "organization malformed"),
        ({"o": []}, "organization malformed"),
        ({"o": {}}, "organization malformed"),
        ({"o": {"id": 1}}, "organization malformed"),
        ({"o": {"id": ""}}, "organization malformed"),
        ({"o": {"id": "org_1", "rol": ["admin"]}}, "role malformed"),
        ({"v": 1, "org_id": 1}, "organization malformed"),
        ({"v": 1, "org_id": "org_1", "org_role": 1}, "role malformed"),
        ({"act": None}, "act malformed"),
        ({"act": "user_2"}, "act malformed"),
        ({"act": {}}, "act malformed"),
        ({"act": {"sub": None}}, "act malformed"),
        ({"act": {"sub": ""}}, "act malformed"),
        ({"act": [{"sub": "user_2"}]}, "act malformed"),
    ],
)
async def test_a_claim_that_is_missing_wrong_or_malformed_is_refused(claims, reason, sessions, token, absent):
    made = token({name: without(value, absent) for name, value in claims.items()})
    assert await refusal(sessions, made) == reason


# Other things that Clerk signs with the same key


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        ({"typ": "at+jwt"}, {}, "not a session token by its type"),
        ({"typ": "jwt"}, {}, "not a session token by its type"),
        ({"typ": 1}, {}, "not a session token by its type"),
        ({"cat": MACHINE}, {"sub": "mch_1", "sid": "absent"}, "not a session token by its category"),
        ({"cat": "absent"}, {"sub": "mch_1"}, "subject is not a user"),
        ({"cat": TEMPLATE}, {"sid": "absent"}, "not a session token by its category"),
        ({"cat": TEMPLATE}, {}, "not a session token by its category"),
        ({"cat": UNSPECIFIED}, {"sid": "absent"}, "sid missing or malformed"),
        ({"cat": None}, {}, "not a session token by its category"),
        ({"cat": [SESSION]}, {}, "not a session token by its category"),
    ],
)
async def test_oauth_machine_and_template_tokens_are_no_sessions(header, claims, reason, sessions, token, absent):
    made = token(
        {name: without(value, absent) for name, value in claims.items()},
        {name: without(value, absent) if isinstance(value, str) else value for name, value in header.items()},
    )
    assert await refusal(sessions, made) == reason


@pytest.mark.parametrize("credential", ["am_live_1", "ak_1", "mt_1", "m2m_1", "oat_1", "oat_a.b.c"])
async def test_opaque_credentials_are_no_sessions(credential, sessions):
    assert await refusal(sessions, credential) == "opaque credential, not a session token"


# Signatures and keys


async def test_a_token_without_a_signature_is_refused(sessions, token):
    claims = token().split(".")[1]
    for header in ({"alg": "none"}, {"alg": "None", "typ": "JWT"}, {"alg": "none", "kid": "ours"}):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        assert await refusal(sessions, f"{head}.{claims}.") == "algorithm not allowed"


async def test_the_public_key_is_no_shared_secret(sessions, token, rsa_keys, public_pem):
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"ours"}').rstrip(b"=").decode()
    signed = f"{head}.{token().split('.')[1]}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = algorithm.sign(signed.encode(), public_pem(rsa_keys.ours).encode())
    forged = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert await refusal(sessions, forged) == "algorithm not allowed"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
async def test_only_rs256_is_allowed_even_with_the_right_key(algorithm, sessions, token):
    assert await refusal(sessions, token(algorithm=algorithm)) == "algorithm not allowed"


async def test_another_key_under_the_right_kid_is_refused(sessions, remote, token, rsa_keys):
    forged = token(key=rsa_keys.other)
    assert await refusal(sessions, forged) == "bad signature"
    assert await refusal(remote.sessions, forged) == "bad signature"


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_changed_token_is_refused(part, sessions, token):
    parts, others = token().split("."), token({"sub": "user_2"}, {"more": 1}).split(".")
    parts[part] = others[part]
    assert await refusal(sessions, ".".join(parts)) == "bad signature"


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c"])
async def test_a_key_that_a_token_brings_along_is_never_followed(header, remote, key_server, token, rsa_keys, jwk):
    theirs = jwk(rsa_keys.other, "ours")
    key_server.serve(theirs)
    asked = key_server.requests
    brought = {"jku": key_server.url, "x5u": key_server.url, "jwk": theirs, "x5c": ["AAAA"]}[header]
    forged = token(header={header: brought}, key=rsa_keys.other)
    assert await refusal(remote.sessions, forged) == "bad signature"
    assert key_server.requests == asked


async def test_a_kid_that_the_issuer_does_not_know_is_refused(remote, token, absent):
    assert await refusal(remote.sessions, token(header={"kid": "../../ours"})) == "unknown kid"
    assert await refusal(remote.sessions, token(header={"kid": absent})) == "unknown kid"


async def test_a_misfit_costs_no_fetch_of_keys(remote, key_server, clock, token):
    clock.advance(31)
    for header in ({"typ": "at+jwt"}, {"cat": MACHINE}, {"crit": ["b64"], "b64": True}):
        await refusal(remote.sessions, token(header={"kid": "unknown", **header}))
    assert key_server.requests == 1


async def test_without_any_keys_nobody_can_tell(key_server, clock, token):
    key_server.fail()
    keys = RemoteKeySet(key_server.url, clock=clock)
    sessions = ClerkSessions(keys, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    await keys.start()
    assert not sessions.ready()
    with pytest.raises(Unavailable):
        await sessions.verify(token())
    await keys.close()


# Hostile text


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "not a token",
        "eyJ" * 100,
        "ключ.ключ.ключ",
        "\ud800.\ud800.\ud800",
        "\x00.\x00.\x00",
        raw(b""),
        raw(b"null"),
        raw(b"[]"),
        raw(b'"RS256"'),
        raw(b"\xff\xff"),
        raw(b'{"alg": "RS256", "kid": ' + b"1" * 5000 + b"}"),
        raw(b"[" * 5000),
        raw(b'{"alg": "RS256", "kid": "ours"}') + "!",
        raw(b'{"alg": "RS256", "b64": false, "kid": "ours"}'),
    ],
    ids=lambda text: ascii(text[:16]),
)
async def test_what_is_no_jwt_is_refused_as_such(hostile, sessions):
    assert await refusal(sessions, hostile) == "not a JWT"


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg": "RS256", "kid": 1}',
        b'{"alg": "RS256", "kid": null}',
        b'{"alg": "RS256", "kid": ["ours"]}',
        b'{"alg": "RS256", "kid": "ours", "crit": ["exp"], "exp": 1}',
        b'{"alg": "RS256", "kid": "ours", "crit": ["b64"], "b64": true}',
        b'{"alg": "RS256", "kid": "ours", "crit": []}',
        b'{"alg": "RS256", "kid": "ours", "crit": null}',
    ],
)
async def test_a_header_that_we_do_not_understand_is_refused(header, sessions):
    assert await refusal(sessions, raw(header)) == "header not understood"


@pytest.mark.parametrize("algorithm", [b"null", b"1", b'["RS256"]', b'"rs256"', b'""', b"{}"])
async def test_an_algorithm_must_be_spelled_exactly(algorithm, sessions):
    assert await refusal(sessions, raw(b'{"kid": "ours", "alg": ' + algorithm + b"}")) == "algorithm not allowed"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "claims are not JSON"),
        (b"\xff\xfe{}", "claims are not JSON"),
        ('{"iss": "x"}'.encode("utf-16"), "claims are not JSON"),
        (b"[" * 5000, "claims are not JSON"),
        (b'{"a":' * 1000, "claims are not JSON"),
        (b'{"exp": ' + b"1" * 5000 + b"}", "claims are not JSON"),
        (b"null", "claims are not an object"),
        (b"[1]", "claims are not an object"),
        (b'"text"', "claims are not an object"),
    ],
)
async def test_claims_that_cannot_be_read_are_refused_though_well_signed(payload, reason, sessions, token):
    assert await refusal(sessions, token(payload=payload)) == reason


async def test_a_megabyte_of_token_is_refused_without_reading_it(sessions, token):
    assert await refusal(sessions, token() + "A" * 1_000_000) == "token too long"


async def test_the_longest_token_has_eight_kibibytes(sessions, token):
    spare = LONGEST - len(token({"pad": ""}))
    sizes = {len(made): made for made in (token({"pad": "x" * (spare * 3 // 4 + change)}) for change in range(-6, 7))}
    longest = max(size for size in sizes if size <= LONGEST)
    assert (await sessions.verify(sizes[longest])).user == "user_1"
    assert await refusal(sessions, sizes[min(size for size in sizes if size > LONGEST)]) == "token too long"


# Remembered verdicts


class CountedKey:
    """A fixed key that counts how often it is asked for, and that can be taken away."""

    def __init__(self, key) -> None:
        self.key, self.asked = key, 0

    async def key_for(self, _kid, /):
        self.asked += 1
        return self.key

    def current(self, _kid, /):
        return self.key

    def ready(self):
        return True

    async def start(self):
        return

    async def close(self):
        return


@pytest.fixture
def counted(rsa_keys):
    return CountedKey(rsa_keys.ours.public_key())


async def test_a_token_that_comes_back_is_not_verified_again(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    made = token()
    assert sessions.recall(made) is None
    first = await sessions.verify(made)
    assert await sessions.verify(made) is first
    assert sessions.recall(made) is first
    assert counted.asked == 1


async def test_a_verdict_is_remembered_for_the_whole_token_only(sessions, token):
    made = token()
    await sessions.verify(made)
    header, claims, _ = made.split(".")
    for similar in (f"{header}.{claims}.AAAA", f"{header}.{claims}.", made[:-4] + "AAAA"):
        assert sessions.recall(similar) is None
        assert await refusal(sessions, similar) == "bad signature"


async def test_a_verdict_is_not_remembered_beyond_exp(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    made = token()
    await sessions.verify(made)
    clock.advance(59.9)
    assert sessions.recall(made) is not None
    clock.advance(0.1)
    assert sessions.recall(made) is None
    # In the leeway a token is good, and is verified each time.
    await sessions.verify(made)
    await sessions.verify(made)
    assert counted.asked == 3
    assert not sessions._verdicts
    clock.advance(LEEWAY)
    assert await refusal(sessions, made) == "expired"


async def test_refusals_are_not_remembered(sessions, token, clock):
    early = token({"nbf": clock.now + 10, "exp": clock.now + 60})
    assert await refusal(sessions, early) == "not yet valid"
    assert not sessions._verdicts
    clock.advance(10)
    assert (await sessions.verify(early)).user == "user_1"


async def test_the_memory_is_bounded_and_the_oldest_goes_first(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock, remembered=3)
    made = [token({"jti": str(number)}) for number in range(5)]
    for each in made:
        await sessions.verify(each)
        assert len(sessions._verdicts) <= 3
    assert [sessions.recall(each) is not None for each in made] == [False, False, True, True, True]


async def test_nothing_is_remembered_where_nothing_may_be(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock, remembered=0)
    await sessions.verify(token())
    assert not sessions._verdicts


async def test_no_token_is_kept_in_memory(sessions, token):
    made = token()
    await sessions.verify(made)
    assert {type(key) for key in sessions._verdicts} == {bytes}
    assert {len(key) for key in sessions._verdicts} == {32}
    assert made not in repr(sessions._verdicts)


@pytest.mark.parametrize("text", ["", "\ud800", "ключ", "A" * 1_000_000])
def test_hostile_text_is_simply_not_remembered(text, sessions):
    assert sessions.recall(text) is None


# Rotation, with remembered verdicts


async def test_a_removed_key_ends_remembered_verdicts_within_five_minutes(
    remote, key_server, clock, token, jwk, rsa_keys
):
    made = token({"exp": clock.now + 3600})
    await remote.sessions.verify(made)
    key_server.serve(jwk(rsa_keys.other, "new"))
    for _ in range(30):
        clock.advance(10)
        await remote.keys.refresh_if_due()
    assert remote.sessions.recall(made) is None
    assert await refusal(remote.sessions, made) == "unknown kid"
    renewed = token({"exp": clock.now + 60}, {"kid": "new"}, key=rsa_keys.other)
    assert (await remote.sessions.verify(renewed)).user == "user_1"


async def test_a_key_replaced_under_its_kid_ends_remembered_verdicts(remote, key_server, clock, token, jwk, rsa_keys):
    made = token({"exp": clock.now + 3600})
    await remote.sessions.verify(made)
    key_server.serve(jwk(rsa_keys.other, "ours"))
    clock.advance(121)
    await remote.keys.refresh_if_due()
    assert await refusal(remote.sessions, made) == "bad signature"


async def test_an_unchanged_key_keeps_verdicts_over_refreshes_and_outages(remote, key_server, clock, token):
    made = token({"exp": clock.now + 3600})
    session = await remote.sessions.verify(made)
    for fail in (False, True, True, True, True):
        if fail:
            key_server.fail()
        clock.advance(121)
        await remote.keys.refresh_if_due()
        assert remote.sessions.recall(made) is session
    assert key_server.requests == 6


async def test_after_a_day_without_keys_a_remembered_verdict_ends_too(remote, key_server, clock, token):
    made = token({"exp": clock.now + 90_000})
    await remote.sessions.verify(made)
    key_server.fail()
    clock.advance(24 * 60 * 60 + 1)
    assert remote.sessions.recall(made) is None
    with pytest.raises(Unavailable):
        await remote.sessions.verify(made)


async def test_many_callers_at_once_are_served_alike(remote, token):
    made = [token({"sub": f"user_{number}"}) for number in range(20)]
    found = await asyncio.gather(*(remote.sessions.verify(each) for each in made * 3))
    assert [session.user for session in found] == [f"user_{number}" for number in range(20)] * 3
