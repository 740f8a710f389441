"""A key that is configured."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from infrastructure.identity.key_set import FixedKey


def same(key, private) -> bool:
    return key.public_numbers() == private.public_key().public_numbers()


# One configured key


async def test_a_fixed_key_counts_for_every_kid_and_is_ready_at_once(rsa_keys, public_pem):
    keys = FixedKey(public_pem(rsa_keys.ours))
    await keys.start()
    assert keys.ready()
    assert same(await keys.key_for("any"), rsa_keys.ours)
    assert keys.current("other") is await keys.key_for("any")
    await keys.close()


def test_a_fixed_key_may_be_written_on_one_line(rsa_keys, public_pem):
    assert same(FixedKey(public_pem(rsa_keys.ours).replace("\n", "\\n")).current("any"), rsa_keys.ours)


def test_a_fixed_key_may_be_a_certificate(rsa_keys):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "clerk.example.com")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, rsa_keys.ours.public_key(), 1, start, start + dt.timedelta(days=1))
        .sign(rsa_keys.ours, SHA256())
        .public_bytes(Encoding.PEM)
    )
    assert same(FixedKey(certificate.decode()).current("any"), rsa_keys.ours)


@pytest.mark.parametrize(
    "what", ["nothing", "words", "a broken PEM", "a broken certificate", "a private key", "a lone surrogate"]
)
def test_what_is_no_public_key_is_refused_in_one_sentence(what, rsa_keys, public_pem):
    pem = {
        "nothing": "",
        "words": "not a key",
        "a broken PEM": public_pem(rsa_keys.ours)[:200],
        "a broken certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "a private key": rsa_keys.ours.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "a lone surrogate": "\ud800",
    }[what]
    with pytest.raises(ValueError, match=r"^The signing key is neither a PEM public key nor a PEM certificate\.$"):
        FixedKey(pem)


@pytest.mark.parametrize("what", ["too short", "of another kind"])
def test_a_fixed_key_that_is_no_long_rsa_key_is_refused(what, rsa_keys):
    key = {"too short": rsa_keys.short, "of another kind": ec.generate_private_key(ec.SECP256R1())}[what]
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match=r"^The signing key is not an RSA key of at least 2048 bits\.$"):
        FixedKey(pem)
