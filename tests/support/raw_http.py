"""Requests that no client library would send, byte by byte over a bare socket."""

import contextlib
import socket
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx


class RawAnswer(NamedTuple):
    status: int
    headers: httpx.Headers
    body: bytes
    closed: bool


def request_head(method: str, path: str, *headers: tuple[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def exchange(url: str, request: bytes, *, method: str = "GET", patience: float = 5.0) -> RawAnswer:
    """Send these bytes and read one answer. `closed`: the server announced that the connection ends with it.

    What can't be sent because the server has answered and hung up is not sent; the answer counts.
    """
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=patience) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        response.begin()
        body = response.read()
        closed = response.will_close
        answer = RawAnswer(response.status, httpx.Headers(response.getheaders()), body, closed)
        response.close()
        return answer
