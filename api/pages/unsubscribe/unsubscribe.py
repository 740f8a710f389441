"""/unsubscribe/{token}: GET shows what the link switches off and changes nothing, POST switches it off (RFC 8058).

Nothing here asks for a session, a cookie or a form's secret token: a mail provider has none of them. The token in the address is the proof,
and no other site can know it.
"""

from typing import Final, NamedTuple

from fastapi import FastAPI, Request

from api.http.answer import Answer
from api.http.body import read_body
from api.http.entity_tags import condition
from api.http.errors import STATUS, headers, note
from api.http.request_context import REQUEST_ID
from api.http.trace_context import TRACEPARENT
from api.pages.page import Markup, markup, page
from api.pages.unsubscribe.click import BY_PAGE, FIELD, clicked
from api.services import Services
from application.unsubscribing import Offer
from domain.catalogue import readable
from domain.errors import NotFound, RateLimited, ServiceError, Unavailable

PATH: Final = "/unsubscribe/{token:path}"
_NOT_FOR_SEARCH: Final = (b"x-robots-tag", b"noindex")


class Text(NamedTuple):
    title: str
    sentence: str


_UNKNOWN: Final = Text(
    "This link doesn't work",
    "It is incomplete or was changed on its way. Nothing was changed. Open the link in the e-mail again, or copy the whole of it.",
)
_AWAY: Final = Text("This didn't work yet", "Nothing may have been changed. Please try again in a moment.")
_TOO_MANY: Final = Text("Too many clicks", "This link was used too often in the last minute. Please try again later.")
_BROKEN: Final = Text("This request can't be read", "Nothing was changed. Open the link in the e-mail again.")


def add(app: FastAPI, services: Services) -> None:
    unsubscribing, choose = services.unsubscribing, services.sign_in.possible

    @app.get(PATH, include_in_schema=False)
    async def look(token: str) -> Answer:
        try:
            offer = unsubscribing.offer(token)
        except NotFound:
            return _said(404, _UNKNOWN, token)
        return offered(offer, choose=choose)

    @app.post(PATH, include_in_schema=False)
    async def switch_off(token: str, request: Request) -> Answer:
        scope = request.scope
        try:
            offer = unsubscribing.offer(token)
            body = await read_body(scope, request.receive)
            source = clicked(condition(scope, b"content-type") or b"", body)
            if source is None:
                return offered(offer, status=400, choose=choose)
            services.unsubscribe_rate_limit.spend(offer.subscription.stream)
            await unsubscribing.switch_off(offer, source, scope[REQUEST_ID], scope.get(TRACEPARENT))
        except ServiceError as error:
            note(error, scope[REQUEST_ID])
            return _refused(error, token)
        return done(offer, choose=choose)


def offered(offer: Offer, *, status: int = 200, choose: bool) -> Answer:
    """The page that asks. After a POST that is no click it has status 400, so that its sender doesn't take it for done.

    `choose`: the page /preferences lets people sign in, so this one links to it.
    """
    name = _name(offer)
    if offer.refused:
        return _always_sent(offer, choose)
    if offer.toggle is None:
        title = "These e-mails aren't sent any more"
        sentence = markup(
            "<p>You get no more of “{name}”, because there are none. You can still unsubscribe, in case they ever come back.</p>\n",
            name=name,
        )
    else:
        title = f"Unsubscribe from “{name}”?"
        sentence = (
            markup("<p>{description}</p>\n", description=offer.toggle.description)
            if offer.toggle.description
            else Markup()
        )
    button = markup(
        '<form method="post"><button name="{field}" value="{value}">Unsubscribe</button></form>\n',
        field=FIELD,
        value=BY_PAGE,
    )
    return _page(title, markup("{sentence}{button}", sentence=sentence, button=button), choose, status)


def done(offer: Offer, *, choose: bool) -> Answer:
    name = _name(offer)
    if offer.refused:
        return _always_sent(offer, choose)
    sentence = markup(
        "<p>You get no more of “{name}”. A message that is already on its way may still arrive.</p>\n", name=name
    )
    return _page("You are unsubscribed", sentence, choose)


def _always_sent(offer: Offer, choose: bool) -> Answer:
    """The description of a mandatory toggle says why it is mandatory."""
    sentence = markup(
        "<p>“{name}” can't be switched off. {description}</p>\n",
        name=_name(offer),
        description=offer.toggle.description if offer.toggle else "",
    )
    return _page("These messages are always sent", sentence, choose)


def _page(title: str, sentence: Markup, choose: bool, status: int = 200) -> Answer:
    body = markup(
        '<main class="narrow"><h1>{title}</h1>\n<div class="card">\n{sentence}</div>\n'
        '<p class="quiet">All other messages stay as they are.{link}</p></main>\n',
        title=title,
        sentence=sentence,
        link=markup(' <a href="../preferences">Choose for each kind</a>') if choose else Markup(),
    )
    return page(title, body, status=status, root="../", headers=[_NOT_FOR_SEARCH])


def _refused(error: ServiceError, token: str) -> Answer:
    match error:
        case NotFound():
            text = _UNKNOWN
        case RateLimited():
            text = _TOO_MANY
        case Unavailable():
            text = _AWAY
        case _:
            text = _BROKEN
    return _said(STATUS[error.code], text, token, *headers(error))


def _said(status: int, text: Text, token: str, *more: tuple[bytes, bytes]) -> Answer:
    body = markup('<main class="narrow"><h1>{title}</h1><p>{sentence}</p></main>\n', **text._asdict())
    # A damaged link may have further slashes in it.
    root = "../" * (token.count("/") + 1)
    return page(text.title, body, status=status, root=root, headers=[_NOT_FOR_SEARCH, *more])


def _name(offer: Offer) -> str:
    """The title of the catalogue in force. What has left the catalogue has its name, made readable."""
    return offer.toggle.title if offer.toggle else readable(offer.subscription.path.rpartition(".")[2])
