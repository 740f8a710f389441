"""The name under which the example asks the service."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from examples.email_sender.lag import relay_lag
from examples.email_sender.mail import decisions


@pytest.fixture
def agents() -> Iterator[tuple[str, list[str | None]]]:
    """A server that refuses every request, and the names that it was asked under."""
    heard: list[str | None] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["User-Agent"])
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join()


async def test_the_service_is_asked_under_a_name_of_its_own(agents) -> None:
    url, heard = agents
    with pytest.raises(OSError, match="403"):
        await relay_lag(url)
    with pytest.raises(OSError, match="403"):
        decisions(url, "key", None, "email.product_updates", ["user_ada"])
    assert heard == ["email-sender-example"] * 2
