"""GET /console: the page on which compliance looks at the log, at one user, and at the evidence."""

from fastapi import FastAPI

from api.http.answer import Answer
from api.pages.page import markup, page
from api.pages.sign_in import described
from api.services import Services


def add(app: FastAPI, services: Services) -> None:
    sign_in = services.sign_in

    @app.get("/console", include_in_schema=False)
    async def console() -> Answer:
        """The same page for every query: its script reads the address."""
        return page(
            "Console",
            markup(
                '<main class="console" data-signed-out>\n<header><h1>Console</h1></header>\n'
                '<nav aria-label="Views"></nav>\n<div class="view" tabindex="-1"></div>\n'
                '<p class="unseen" role="status"></p>\n</main>\n'
                "<noscript><p>The console needs JavaScript.</p></noscript>\n"
            ),
            head=described(sign_in, auditor=True),
            front_end=sign_in.front_end,
            styles=("console.css", "console_data.css"),
            scripts=("console.js",),
        )
