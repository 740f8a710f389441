"""GET /openapi.json and GET /docs: the API's description, for machines and for people, from files of our own, so that it works without internet access."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson
from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html

from api.http.answer import Answer

# The package carries the Swagger UI distribution; its FastAPI subclass is not used.
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


def add(app: FastAPI, document: Callable[[], dict[str, Any]]) -> None:
    document = cache(document)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Answer:
        return Answer(200, orjson.dumps(document()))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return get_swagger_ui_html(
            # Addresses are relative to the page: a proxy may serve it under a prefix that the service doesn't know.
            openapi_url="openapi.json",
            title="Notification preferences",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
            # Without a validator of its own choosing, the page would ask one in the internet.
            swagger_ui_parameters={"displayRequestDuration": True, "tryItOutEnabled": True, "validatorUrl": None},
        )

    def add_asset(name: str, media_type: str) -> None:
        content = files("fastapi_offline").joinpath("static", name).read_bytes()

        @app.get(f"/docs/{name}", include_in_schema=False)
        async def asset() -> Response:
            return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})

    for name, media_type in _ASSETS.items():
        add_asset(name, media_type)
