"""Bundles that are damaged, each in another place. A case has a name, the file, and the public key that it is verified with."""

import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from application.evidence.bundle import Bundle
from domain.preferences import stream_id
from infrastructure.log.event_codec import encode
from tests.support.events import ADA, KEY, opened, toggled
from tests.support.signed_log import SignedLog, filled

TOP = ("format", "organization", "user", "key", "checkpoint", "events", "catalogues")
EVENT = ("index", "position", "stream", "version", "topic", "state", "sealed_actor", "proof")


class Damaged(NamedTuple):
    place: str
    data: bytes
    key: str


def damaged_bundles(seed: int) -> Iterator[Damaged]:
    log = filled()
    bundle = log.bundle("org_math", "user_ada")
    data, key, chance = bundle.render(), log.public_key, random.Random(seed)
    for place, damaged in (
        *flipped(data, chance),
        *changed(data, chance),
        *other_events(bundle),
        *other_text(data, chance),
        *other_checkpoints(log, bundle),
        *otherwise_encoded(bundle, data),
    ):
        if damaged != data:
            yield Damaged(place, damaged, key)
    yield from signed_but_wrong()
    for place, other in other_keys(log):
        yield Damaged(place, data, other)


def flipped(data: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """One bit, in every field of the file: in the names and in the values."""
    lines = data.splitlines(keepends=True)
    offset = 0
    for number, line in enumerate(lines):
        damaged = bytearray(data)
        damaged[offset + chance.randrange(len(line))] ^= 1 << chance.randrange(8)
        yield f"a bit of line {number}: {line.strip()[:20]!r}", bytes(damaged)
        offset += len(line)


def changed(data: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Each field has another value, and the text is exact again."""

    def one(place: str, change: Callable[[Any], None]) -> tuple[str, bytes]:
        document = json.loads(data)
        change(document)
        return place, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    def put(holder: Any, name: str, value: Any) -> None:
        holder[name] = value

    for name in TOP:
        for value in (None, True, 1, 1.5, [], {}, "", "x", ["x"], 2**63):
            yield one(f"{name} is {value!r}", lambda d, n=name, v=value: put(d, n, v))
        yield one(f"no {name}", lambda d, n=name: d.pop(n))
    for name in EVENT:
        whose, number = chance.choice((("events", 1), ("events", 3), ("catalogues", 1)))
        for value in (None, True, -1, 0, 7, 1.0, 2**63, [], [""], "", "=", "A", "AAAA", str(ADA), {}, "\ud800"):
            if value == "\ud800":
                yield (
                    f"{name} of {whose} {number} is half a character",
                    data.replace(f'"{name}": '.encode(), f'"{name}": "\\ud800", "_": '.encode(), 1),
                )
            else:
                yield one(
                    f"{name} of {whose} {number} is {value!r}",
                    lambda d, w=whose, i=number, n=name, v=value: put(d[w][i], n, v),
                )
        yield one(f"no {name}", lambda d, w=whose, i=number, n=name: d[w][i].pop(n))
    for whose, number in (("events", 0), ("events", 2), ("catalogues", 0)):
        yield one("index + 1", lambda d, w=whose, i=number: put(d[w][i], "index", d[w][i]["index"] + 1))
        yield one("position + 1", lambda d, w=whose, i=number: put(d[w][i], "position", d[w][i]["position"] + 1))
        yield one("version + 1", lambda d, w=whose, i=number: put(d[w][i], "version", d[w][i]["version"] + 1))
        yield one("the proof is shorter", lambda d, w=whose, i=number: d[w][i]["proof"].pop())
        yield one("the proof is longer", lambda d, w=whose, i=number: d[w][i]["proof"].append(b64encode(KEY).decode()))
        yield one("the proof is turned round", lambda d, w=whose, i=number: d[w][i]["proof"].reverse())
        yield one("the proof has a short hash", lambda d, w=whose, i=number: put(d[w][i]["proof"], 0, "AAAA"))
        yield one(
            "another state",
            lambda d, w=whose, i=number: put(d[w][i], "state", d[w][i]["state"].replace("true", "null")),
        )


def other_events(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    events, catalogues = [*bundle.events], [*bundle.catalogues]
    changes: dict[str, dict[str, Any]] = {
        "the first event is left out": {"events": events[1:]},
        "an event in the middle is left out": {"events": [*events[:2], *events[3:]]},
        "an event comes twice": {"events": [*events[:2], *events[1:]]},
        "two events are exchanged": {"events": [events[0], events[2], events[1], *events[3:]]},
        "the events are turned round": {"events": events[::-1]},
        "a catalogue among the events": {"events": [*events, catalogues[0]]},
        "an event among the catalogues": {"catalogues": [*catalogues, events[0]]},
        "the catalogues are turned round": {"catalogues": catalogues[::-1]},
        "a catalogue comes twice": {"catalogues": [catalogues[0], *catalogues]},
        "no events, but a key": {"events": []},
        "no key": {"key": None},
        "another key": {"key": KEY[::-1]},
        "a short key": {"key": KEY[:16]},
        "a key of another length": {"key": KEY[:7]},
        "an empty key": {"key": b""},
        "another user": {"user": "user_bob"},
        "another organization": {"organization": "org_chess"},
        "no organization": {"organization": None},
    }
    for place, change in changes.items():
        yield place, replace(bundle, **change).render()


def other_text(data: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """The same document in another form, and parts of it."""
    document, text = json.loads(data), data.decode()
    yield "sorted", json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"
    yield "escaped", json.dumps({**document, "user": "usér"}, indent=1).encode() + b"\n"
    yield "indented by two", json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    yield "on one line", json.dumps(document, ensure_ascii=False).encode() + b"\n"
    yield "without a line break", data[:-1]
    yield "with two line breaks", data + b"\n"
    yield "with carriage returns", data.replace(b"\n", b"\r\n")
    yield "with space before it", b" " + data
    yield "twice", data + data
    yield "with another key", text.replace("{\n", '{\n "more": NaN,\n', 1).encode()
    yield "with half a character aside", text.replace("{\n", '{\n "more": "\\ud800",\n', 1).encode()
    yield "a key twice", text.replace("{\n", '{\n "user": "user_bob",\n', 1).encode()
    yield "a number with a fraction", text.replace('"version": 1,', '"version": 1.0,', 1).encode()
    yield "a number with an exponent", text.replace('"version": 1,', '"version": 1e0,', 1).encode()
    yield "a number with a zero before it", text.replace('"version": 1,', '"version": 01,', 1).encode()
    yield "minus nought", text.replace('"index": 0,', '"index": -0,', 1).encode()
    yield "a number too long", text.replace('"index": 0,', f'"index": {"9" * 5000},', 1).encode()
    yield "a number that rounds", text.replace('"position": ', '"position": 9007199254740993', 1).encode()
    yield "a comma too many", text.replace("\n]", ",\n]", 1).encode()
    yield "a comment", text.replace("{\n", "{ // evidence\n", 1).encode()
    yield "a tab in a string", text.replace("user_ada", "user\tada", 1).encode()
    yield "an escape that none needs", text.replace("user_ada", "user\\u005fada", 1).encode()
    yield "an escape that is none", text.replace("user_ada", "user\\_ada", 1).encode()
    yield "in single quotes", text.replace('"', "'").encode()
    yield "nested too deeply", b"[" * 100_000
    for form in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp1252"):
        yield form, text.replace("user_ada", "usér_ada" if form == "cp1252" else "user_ada").encode(form)
    for _ in range(10):
        end = chance.randrange(len(data))
        yield f"cut off at {end}", data[:end]
    for whole in (b"", b"{}", b"[]", b"null", b"1", b'"x"', b"\x00", b"\xff\xfe", b"\xff" * 7):
        yield repr(whole), whole


def other_checkpoints(log: SignedLog, bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    stranger, namesake = SignedLog(2, "example.com/stranger").signer, SignedLog(2).signer
    text = log.checkpoint_text()
    note = log.signer.sign(text)
    signature = note.split("\n\n")[1]
    of_another_origin = log.checkpoint_text(origin="example.com/other")
    notes = {
        "an older checkpoint": log.signer.sign(log.checkpoint_text(9)),
        "signed by a stranger": stranger.sign(text),
        "signed by a stranger of the same name": namesake.sign(text),
        "a checkpoint of another log": log.signer.sign(of_another_origin),
        "an altered size": note.replace(f"\n{len(log.leaves)}\n", f"\n{len(log.leaves) + 1}\n"),
        "an altered time": note.replace("05:06", "05:07"),
        "no signature": text,
        "no empty line": note.replace("\n\n", "\n"),
        "no line break at the end": note[:-1],
        "a hyphen for the dash": note.replace("— ", "- "),
        "two spaces": note.replace("— ", "—  "),
        "a space of another kind": note.replace("— ", "— \u00a0"),
        "a name with a mark of byte order": note.replace(f"— {log.origin}", f"— \ufeff{log.origin}"),
        "a short signature": f"{text}\n— {log.origin} AAAAAA==\n",
        "a signature of four bytes": f"{text}\n— {log.origin} AAAAAA==\n"[:-5] + "\n",
        "a signature that is not base64": note[:-3] + "\n",
        "a signature in another writing": note.rstrip("\n").rstrip("=")[:-1] + "B==\n",
        "the signature twice, once wrong": note
        + signature[:-10]
        + ("A" if signature[-10] != "A" else "B")
        + signature[-9:],
        "101 strangers before us": f"{text}\n" + stranger.sign("").split("\n\n")[-1].lstrip("\n") * 101 + signature,
        "a line that is none": note + "and more\n",
        "signed, but no checkpoint": log.signer.sign("something else\n"),
        "signed, with a line more": log.signer.sign(f"{text}more\n"),
        "signed, in another zone's writing": log.signer.sign(text.replace("+00:00", "Z")),
        "signed, with a size of nought": log.signer.sign(text.replace(f"\n{len(log.leaves)}\n", "\n0\n")),
        "signed, with another root": log.signer.sign(
            log.checkpoint_text().replace("=", "=", 1).replace(text[30:34], "AAAA")
        ),
    }
    for place, other in notes.items():
        yield place, replace(bundle, checkpoint=other).render()


def otherwise_encoded(bundle: Bundle, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Values that a lenient reader takes for the same ones."""
    stream, key = str(stream_id("org_math", "user_ada")), b64encode(KEY).decode()
    for other in (
        stream.upper(),
        f"urn:uuid:{stream}",
        f"{{{stream}}}",
        stream.replace("-", ""),
        f" {stream[1:]}",
        f"{stream[:-1]}\u3000",
        f"+{stream[1:]}",
        f"0x{stream[2:]}",
        f"{stream[:2]}_{stream[3:]}",
        f"{stream[:2]}__{stream[4:]}",
        f"{stream[:2]}\u0663{stream[3:]}",
        f"{stream}0",
        f"{stream[:-1]}g",
    ):
        yield f"stream {other}", data.replace(stream.encode(), other.encode(), 1)
    for other in (
        key[:-1],
        f"{key}=",
        f"{key}\\n",
        f" {key}",
        f"{key[:4]}={key[4:]}",
        f"{key[:6]}=={key[6:]}",
        f"{key[:5]}*{key[5:]}",
        f"{key[:5]}é{key[5:]}",
        f"{key[:-3]}9==",
        f"{key}AAAA",
        "====",
        "A===",
        "AA=A",
        "AA=A=",
        "AAA",
        "-_-_",
    ):
        yield f"key {other}", data.replace(key.encode(), other.encode(), 1)


def signed_but_wrong() -> Iterator[Damaged]:
    """Logs that were signed with events that no release writes."""
    toggle = toggled(2, "product_updates", False)
    stored = encode(toggle, KEY)
    spoilt: dict[str, Any] = {
        "an unknown topic": stored._replace(topic="notification-preferences.unheard"),
        "a state that is not JSON": stored._replace(state=b"{"),
        "a state that is a list": stored._replace(state=b"[]"),
        "no time": stored._replace(state=stored.state.replace(b'"timestamp"', b'"_"')),
        "a time that is none": stored._replace(state=stored.state.replace(b"2026-03-03T", b"2026-13-03T")),
        "a time that is a number": stored._replace(state=b'{"timestamp":1}'),
        "no id": stored._replace(state=stored.state.replace(b'"event_id"', b'"_"')),
        "an id that is none": stored._replace(state=stored.state.replace(b"01JTBQ", b"01JTB")),
        "another actor": encode(toggled(2, "product_updates", False, actor={"user": "user_bob"}), KEY),
        "another organization": encode(toggled(2, "product_updates", False, organization="org_chess"), KEY),
        "no organization": encode(toggled(2, "product_updates", False, organization=None), KEY),
        "an actor cut short": stored._replace(sealed_actor=stored.sealed_actor[:9]),
        "an actor of another event": stored._replace(sealed_actor=encode(toggled(2, "x", True), KEY).sealed_actor),
    }
    for place, event in spoilt.items():
        log = SignedLog(3)
        log.append(opened())
        log.append_stored(*event)
        yield Damaged(f"signed, {place}", log.bundle("org_math", "user_ada").render(), log.public_key)


def other_keys(log: SignedLog) -> Iterator[tuple[str, str]]:
    key = log.public_key
    name, named, encoded = key.split("+", 2)
    yield "a stranger's public key", SignedLog(2).public_key
    yield "a public key of another name", SignedLog(1, "example.com/other").public_key
    yield "a public key with another hash", f"{name}+00000000+{encoded}"
    yield "a public key with another name and this hash", f"other+{named}+{encoded}"
    yield "a public key cut short", key[:-4]
    yield "a public key with capitals", f"{name}+{named.upper()}+{encoded}"
    for other in ("", "x", "a+b", "it's", 'it\'s "x"', "a\\b", "tab\tnew\nline\x00é\u00a0\u2028\U000e0001 +a+b"):
        yield f"a public key that is {other!r}", other
