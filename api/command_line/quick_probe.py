"""Asks a running service how it is, with nothing but a few modules of the standard library: the health check of a container."""

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from ipaddress import ip_address
from typing import Any, Final

PATHS: Final[Mapping[str, str]] = {"live": "/healthz", "ready": "/readyz"}
HOST: Final = "127.0.0.1"
PORT: Final = 8000
WITHIN: Final = 3.0
"""Seconds in which the answer must come."""


def end_if_plain(arguments: Sequence[str]) -> None:
    """End the process if the command has one valid word and no options. Otherwise return: the whole command line takes over."""
    port = os.environ.get("PORT") or str(PORT)
    if len(arguments) == 1 and arguments[0] in PATHS and port.isdecimal():
        sys.exit(0 if ask(arguments[0], os.environ.get("HOST") or HOST, int(port), WITHIN) else 1)


def ask(question: str, host: str, port: int, within: float) -> bool:
    """Whether the service says yes. Standard error has what it says."""
    path = PATHS[question]
    try:
        with closing(http.client.HTTPConnection(_reached(host), port, timeout=within)) as connection:
            connection.request("GET", path, headers={"connection": "close"})
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
    except (OSError, OverflowError, http.client.HTTPException) as error:
        sys.stderr.write(f"error: no answer from {host} port {port}: {str(error) or type(error).__name__}\n")
        return False
    good = status == http.client.OK
    sys.stderr.write(f"{path} answers 200.\n" if good else f"error: {path} answers {status}{_reasons(body)}\n")
    return good


def _reached(host: str) -> str:
    """The address at which this machine reaches a service that listens on all of its addresses."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _reasons(body: bytes) -> str:
    """The details of the answer, as a part of the sentence. Empty if there are none."""
    try:
        answer: Any = json.loads(body)
        details = answer["error"]["details"].items()
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return ": " + ", ".join(f"{subject} {reason}" for subject, reason in details)
