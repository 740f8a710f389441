"""A message that its recipient can unsubscribe from with one click: asked for at the service, written, handed to the mail server."""

import json
import smtplib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from examples.email_sender.user_agent import USER_AGENT

ANSWER_WITHIN = 10.0

UNFOLDED = SMTP.clone(max_line_length=998)
"""Python's default breaks a header after 78 characters. A link has no place to break at, so Python would write it in an encoded form that no
mail provider recognises. 998 is what RFC 5322 allows."""


class Letter(NamedTuple):
    sender: str
    subject: str
    text: str


def decisions(
    service: str, key: str, organization: str | None, toggle: str, users: Sequence[str]
) -> list[dict[str, Any]]:
    """The answer of POST /v1/decisions for each user, with the headers of the messages that are allowed. Raises OSError."""
    channel, _, name = toggle.partition(".")
    question = {"channel": channel, "toggle": name, "users": [*users], "unsubscribe": True}
    if organization is not None:
        question["organization"] = organization
    request = Request(  # noqa: S310 - the operator's own address
        f"{service.rstrip('/')}/v1/decisions",
        json.dumps(question).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": USER_AGENT},
    )
    try:
        with urlopen(request, timeout=ANSWER_WITHIN) as answer:  # noqa: S310 - the same
            found: list[dict[str, Any]] = json.load(answer)["data"]["decisions"]
            return found
    except HTTPError as error:
        raise OSError(f"{service} answers {error.code}: {error.read().decode(errors='replace')}") from None


def message(letter: Letter, address: str, decision: Mapping[str, Any]) -> EmailMessage:
    """A mandatory message has no link, so it gets none of these headers."""
    written = EmailMessage(policy=UNFOLDED)
    written["From"] = letter.sender
    written["To"] = address
    written["Subject"] = letter.subject
    written["Date"] = formatdate()
    written["Message-ID"] = make_msgid(domain=letter.sender.rpartition("@")[2].rstrip(">"))
    text = letter.text
    if "list_unsubscribe" in decision:
        written["List-Unsubscribe"] = decision["list_unsubscribe"]
        written["List-Unsubscribe-Post"] = decision["list_unsubscribe_post"]
        written["List-Id"] = decision["list_id"]
        # Some programs show no button of their own, so the text has the link too.
        text += f"\n\n-- \nUnsubscribe: {decision['list_unsubscribe'].strip('<>')}\n"
    written.set_content(text)
    return written


def send(
    letter: Letter, addresses: Mapping[str, str], decided: Sequence[Mapping[str, Any]], host: str, port: int
) -> None:
    """Hand a message for each allowed user to the mail server, which has to sign it: see docs/unsubscribe.md. Raises OSError."""
    with smtplib.SMTP(host, port, timeout=ANSWER_WITHIN) as server:
        for decision in decided:
            if decision["allowed"]:
                server.send_message(message(letter, addresses[decision["user"]], decision))
