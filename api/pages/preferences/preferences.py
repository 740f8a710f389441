"""GET /preferences: the page on which a signed-in user chooses."""

from fastapi import FastAPI

from api.http.answer import Answer
from api.pages.page import markup, page
from api.pages.sign_in import described
from api.services import Services


def add(app: FastAPI, services: Services) -> None:
    sign_in = services.sign_in

    @app.get("/preferences", include_in_schema=False)
    async def preferences() -> Answer:
        return page(
            "Notification preferences",
            markup('<main class="narrow" data-signed-out>\n<header><h1>Notifications</h1></header>\n</main>\n'),
            head=described(sign_in),
            front_end=sign_in.front_end,
            scripts=("preferences.js",),
        )
