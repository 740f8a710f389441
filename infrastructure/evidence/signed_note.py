"""Signed notes in C2SP's form (c2sp.org/signed-note): a text that people can read, with Ed25519 signatures under it."""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from application.evidence.checkpoints import Notes, UnknownKey

_ED25519: Final = b"\x01"
_NAME: Final = re.compile(r"[^\s+]+")
_SIGNATURE: Final = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+={0,2})")
_MOST: Final = 100
"""The most signatures under one note that are checked."""


class BadNote(ValueError):
    """One phrase on why a text is not a note, or has no signature of a known key."""


class VerifierKey:
    """A public key with its owner's name. Written `name+hash+key`, as the specification says."""

    def __init__(self, name: str, key: Ed25519PublicKey) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be the name of a key: it must have no space and no plus sign")
        self.name = name
        self._key = key
        self._encoded = _ED25519 + key.public_bytes_raw()
        self.hash = sha256(name.encode() + b"\n" + self._encoded).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.hash.hex()}+{b64encode(self._encoded).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `ValueError` for anything but the exact text of a key."""
        try:
            name, _, encoded = text.split("+", 2)
            key = b64decode(encoded, validate=True)
            parsed = cls(name, Ed25519PublicKey.from_public_bytes(key[1:]))
        except ValueError:
            parsed = None
        if parsed is None or str(parsed) != text:
            raise ValueError(f"{text!r} is not a public key of the form name+hash+key")
        return parsed

    def accepts(self, text: str, signature: bytes) -> bool:
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class NoteSigner:
    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = VerifierKey(name, key.public_key())

    def sign(self, text: str) -> str:
        """The note: the text, which ends with a line break, then an empty line, then the line of the signature."""
        signature = b64encode(self.verifier.hash + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.verifier.name} {signature}\n"


class NoteReader(Notes):
    """Reads notes that one of these keys has signed."""

    def __init__(self, *keys: VerifierKey) -> None:
        self._known = [f"{key.name}+{key.hash.hex()}" for key in keys]
        self._keys = {(key.name, key.hash): key for key in keys}

    @property
    @override
    def known(self) -> Sequence[str]:
        return self._known

    @override
    def open(self, note: str) -> str:
        """The text. Ignores signatures of unknown keys, unless there are no others. Raises `BadNote` or `UnknownKey`."""
        text, empty_line, signatures = note.rpartition("\n\n")
        text += "\n"
        if not (empty_line and signatures.endswith("\n")):
            raise BadNote("not a signed note")
        known = False
        signers = []
        lines = signatures[:-1].split("\n")
        for line in lines[:_MOST]:
            found = _SIGNATURE.fullmatch(line)
            signed = _decoded(found["signature"]) if found else b""
            if found is None or len(signed) < 5:
                raise BadNote("not a signed note")
            signers.append(f"{found['name']}+{signed[:4].hex()}")
            if key := self._keys.get((found["name"], signed[:4])):
                if not key.accepts(text, signed[4:]):
                    raise BadNote(f"the signature of {key.name} is wrong")
                known = True
        if not known:
            raise UnknownKey(text, signers)
        return text


def _decoded(text: str) -> bytes:
    """The bytes, or empty bytes if the base64 isn't canonical: otherwise a note could be changed unnoticed."""
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        return b""
    return found if b64encode(found).decode() == text else b""
