"""Session tokens: which are good, and why the others are refused."""

import pytest

from application.identity import UserSession
from infrastructure.identity.session_tokens import LEEWAY, ClerkSessions
from tests.support.sessions import APP, ISSUER, refusal

SESSION, TEMPLATE, MACHINE, UNSPECIFIED = (
    "cl_B7d4PD111AAA",
    "cl_B7d4PD222AAA",
    "cl_B7d4PD333AAA",
    "cl_I7d4PD111III",
)


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

OTHER = "https://other.example.com"


API = "https://api.example.com"


@pytest.mark.parametrize("audience", ["absent", None, "", OTHER, [], [OTHER], 7, {"name": API}])
async def test_an_audience_that_nobody_asked_about_is_no_reason_to_refuse(audience, sessions, token, absent):
    assert (await sessions.verify(token({"aud": without(audience, absent)}))).user == "user_1"


@pytest.mark.parametrize("audience", [API, [API], [OTHER, API], [7, API], "preferences"])
async def test_a_token_for_one_of_the_wanted_audiences_is_accepted(audience, fixed_key, clock, token):
    wanted = frozenset({API, "preferences"})
    sessions = ClerkSessions(fixed_key, issuer=ISSUER, authorized_parties=frozenset(), audiences=wanted, clock=clock)
    assert (await sessions.verify(token({"aud": audience}))).user == "user_1"


@pytest.mark.parametrize("audience", ["absent", None, "", OTHER, API + "/", [], [OTHER], [[API]], 7, {"name": API}])
async def test_a_token_for_none_of_the_wanted_audiences_is_refused(audience, fixed_key, clock, token, absent):
    wanted = frozenset({API})
    sessions = ClerkSessions(fixed_key, issuer=ISSUER, authorized_parties=frozenset(), audiences=wanted, clock=clock)
    assert await refusal(sessions, token({"aud": without(audience, absent)})) == "meant for another audience"


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
