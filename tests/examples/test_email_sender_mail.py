"""The example of an e-mail sender writes real messages to an SMTP server, and a click on the link in one stops the next."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from infrastructure.identity.api_keys import PostgresApiKeys
from tests.support.catalogues import publish
from tests.support.command import environment
from tests.support.patient_database import patient_database
from tests.support.ports import free_port
from tests.support.server import Server

ROOT = Path(__file__).parents[2]
ADDRESSES = {"user_ada": "ada@example.com", "user_bob": "bob@example.com"}


class Mailbox:
    """What an SMTP server was given: each recipient's messages, as they were on the wire."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.received += [(recipient, envelope.content) for recipient in envelope.rcpt_tos]
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    mailbox, port = Mailbox(), free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, f"127.0.0.1:{port}"
    finally:
        controller.stop()


@pytest.fixture
async def service(serve: Callable[..., Server], database_url: str, folder: Path) -> Server:
    """In development mode, in which links lead to the service itself."""
    await publish(database_url)
    return serve(clerk_issuer=None, clerk_jwt_key=None, data_dir=folder / "data")


@pytest.fixture
async def write(service: Server, database_url: str, mailbox) -> Callable[..., str]:
    async with patient_database(database_url) as database:
        key = await PostgresApiKeys(database).create("org_math", "sender", ["preferences:read"])

    def run(toggle: str = "email.product_updates") -> str:
        _, smtp = mailbox
        to = [argument for user, address in ADDRESSES.items() for argument in ("--to", f"{user}={address}")]
        text = ["--from", "news@example.com", "--subject", "What is new", "--text", "Dark mode is here."]
        command = [sys.executable, "-m", "examples.email_sender", "send", toggle, *to, *text, "--smtp", smtp]
        settings = environment(api_key=key, service_url=service.url)
        done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def click(url: str, body: bytes, content_type: str) -> tuple[int, str]:
    """What a mail provider sends: no cookie, no session, no Referer."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.url


async def test_a_click_on_the_link_in_a_message_stops_the_next_one(write, mailbox, service: Server) -> None:
    box, _ = mailbox
    # Given a message to each of two users
    assert write() == "user_ada  sent: default\nuser_bob  sent: default\n"
    assert [recipient for recipient, _ in box.received] == [*ADDRESSES.values()]
    wire = box.received[0][1]
    # then each header stands whole on a line of its own, as it was made,
    [link] = re.findall(rb"(?m)^List-Unsubscribe: <(\S+)>\r$", wire)
    assert link.decode().startswith(f"{service.url}/unsubscribe/")
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in wire
    assert b"\r\nList-Id: Product updates <product_updates.email.localhost>\r\n" in wire
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    # the link names nobody, and the text has it too.
    assert b"user_ada" not in wire
    assert b"org_math" not in wire
    assert link.decode() in message_from_bytes(wire, policy=default).get_content().replace("=\n", "")
    # When Ada's mail provider clicks, as often as it wants,
    for _ in range(2):
        multipart = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
        assert click(link.decode(), multipart, "multipart/form-data; boundary=b") == (200, link.decode())
    # then the next message goes to Bob alone,
    box.received.clear()
    assert write() == "user_ada  not sent: choice\nuser_bob  sent: default\n"
    assert [recipient for recipient, _ in box.received] == ["bob@example.com"]
    # and what nobody can refuse goes to both, without a link.
    box.received.clear()
    assert write("email.security_alerts") == "user_ada  sent: mandatory\nuser_bob  sent: mandatory\n"
    assert len(box.received) == 2
    assert not any(b"List-" in wire for _, wire in box.received)
