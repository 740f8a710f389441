"""Signed notes, against the vector of Go's own implementation, with which the format began."""

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from application.evidence.checkpoints import UnknownKey
from infrastructure.evidence.signed_note import BadNote, NoteReader, NoteSigner, VerifierKey

KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PRIVATE = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
NOTE = f"{TEXT}\n{SIGNED}"


@pytest.fixture
def peter() -> NoteSigner:
    return NoteSigner("PeterNeumann", Ed25519PrivateKey.from_private_bytes(PRIVATE))


@pytest.fixture
def other() -> NoteSigner:
    return NoteSigner("other", Ed25519PrivateKey.from_private_bytes(PRIVATE[::-1]))


def test_a_note_is_signed_byte_for_byte_as_others_do_it(peter: NoteSigner) -> None:
    assert peter.sign(TEXT) == NOTE
    assert str(peter.verifier) == KEY


def test_a_note_is_read_with_the_key_of_its_signer() -> None:
    assert NoteReader(VerifierKey.parse(KEY)).open(NOTE) == TEXT


def test_what_others_have_signed_beside_it_is_left_aside(peter: NoteSigner, other: NoteSigner) -> None:
    line = other.sign(TEXT).rpartition("\n\n")[2]
    assert NoteReader(peter.verifier).open(f"{TEXT}\n{line}{SIGNED}") == TEXT


def test_a_note_of_nobody_we_know_is_refused(other: NoteSigner) -> None:
    with pytest.raises(UnknownKey, match="not signed with a key that is known here") as refused:
        NoteReader(VerifierKey.parse(KEY)).open(other.sign(TEXT))
    assert refused.value.text == TEXT
    assert refused.value.signers == [f"other+{other.verifier.hash.hex()}"]


def test_no_byte_of_a_note_can_be_changed() -> None:
    reader, note = NoteReader(VerifierKey.parse(KEY)), NOTE.encode()
    for place in range(len(note)):
        for bit in (1, 32):
            changed = bytearray(note)
            changed[place] ^= bit
            with pytest.raises(ValueError):
                reader.open(changed.decode())


@pytest.mark.parametrize(
    "note", ["", "\n\n", TEXT, NOTE[:-1], f"{TEXT}\n", f"{TEXT}\n— PeterNeumann x08g\n", NOTE + "\n"]
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        NoteReader(VerifierKey.parse(KEY)).open(note)


def test_a_mangled_key_is_refused() -> None:
    mangled = [KEY[start:end] for start in range(len(KEY)) for end in range(start + 1, len(KEY) + 1)]
    mangled.remove(KEY)
    mangled += [KEY[:place] + chr(ord(KEY[place]) + 1) + KEY[place + 1 :] for place in range(len(KEY))]
    mangled += [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ]
    for text in mangled:
        with pytest.raises(ValueError):
            VerifierKey.parse(text)
