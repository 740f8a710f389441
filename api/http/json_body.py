"""Strict JSON. It refuses documents that RFC 8259 allows but that two readers could understand differently."""

import json
from typing import Any, Final

from domain.errors import MalformedInput

WHITE_SPACE: Final = b" \t\n\r"


def parse(body: bytes) -> Any:
    """The document. An empty body is an empty object.

    Raises `MalformedInput` for a body that isn't JSON in UTF-8, for text after the value, for NaN and Infinity, for a document
    nested deeper than the interpreter allows (1,000 levels in Python 3.11, 10,000 in 3.13), and for a key given twice in one
    object. All numbers become floats: no number is ever valid here, and parsing an integer of thousands of digits is slow.
    """
    body = body.strip(WHITE_SPACE)
    if not body:
        return {}
    try:
        text = body.decode("utf-8")
        document, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise ValueError(f"text after the value, at character {end}")
    except (ValueError, RecursionError) as error:
        raise MalformedInput(str(error)) from error
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_int=float, parse_constant=_refuse)
