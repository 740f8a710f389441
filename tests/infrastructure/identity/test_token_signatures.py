"""Signatures of session tokens: by which keys and algorithms they count."""

import base64
import json

import jwt
import pytest

from domain.errors import Unavailable
from infrastructure.identity.key_set import RemoteKeySet
from infrastructure.identity.session_tokens import ClerkSessions
from tests.support.sessions import ISSUER, refusal

SESSION, TEMPLATE, MACHINE, UNSPECIFIED = (
    "cl_B7d4PD111AAA",
    "cl_B7d4PD222AAA",
    "cl_B7d4PD333AAA",
    "cl_I7d4PD111III",
)


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
