"""GET /preferences: the page on which a signed-in user chooses."""

from typing import Final

from fastapi import FastAPI

from api.http.answer import Answer
from api.pages.page import Markup, markup, page, sentence
from api.pages.sign_in import described
from api.services import Services

TITLE: Final = "Notifications"
NO_SIGN_IN: Final = "You can't sign in here, because CLERK_PUBLISHABLE_KEY isn't set. The settings are in the product that sends you the notifications."


def add(app: FastAPI, services: Services) -> None:
    sign_in = services.sign_in

    @app.get("/preferences", include_in_schema=False)
    async def preferences() -> Answer:
        if not sign_in.possible:
            return sentence(404, TITLE, NO_SIGN_IN)
        return page(
            TITLE,
            _body(development=sign_in.development is not None),
            head=described(sign_in),
            front_end=sign_in.front_end,
            scripts=("preferences.js",),
        )


def _body(*, development: bool) -> Markup:
    return markup(
        '<main class="narrow">\n<header>\n'
        '<p class="signed-in" id="person" hidden><span id="who"></span>'
        '<button type="button" class="plain" id="sign-out">Sign out</button></p>\n'
        "<h1>{title}</h1>\n"
        '<p class="quiet">Choose what we send you. Each change is saved at once.</p>\n'
        "</header>\n"
        '<notification-preferences class="card" history></notification-preferences>\n'
        "{hint}</main>\n",
        title=TITLE,
        hint=_hint() if development else Markup(),
    )


def _hint() -> Markup:
    return markup(
        '<footer><small>Development mode. The same through the API: <a href="docs">documentation</a>.</small></footer>\n'
    )
