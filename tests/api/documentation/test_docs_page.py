"""The page /docs."""

import re
from html.parser import HTMLParser


class Assets(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in {"src", "href"} and value]


async def test_the_docs_page_needs_nobody_but_this_service(http) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assets = Assets(page.text).found
    assert len(assets) == 3
    for asset in assets:
        # Relative, so that a proxy may serve the page under a prefix.
        assert re.match(r"docs/[^/]", asset)
        response = await http.get(f"/{asset}")
        assert response.status_code == 200
        assert len(response.content) > 100
    assert "//" not in re.sub(r"^\s*//.*$|<!--.*?-->", "", page.text, flags=re.MULTILINE)
    assert '"openapi.json"' in page.text or "'openapi.json'" in page.text
    # Swagger UI asks a validator in the internet unless it is told not to.
    assert '"validatorUrl": null' in page.text
    style = (await http.get("/docs/swagger-ui.css")).text
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", style)
    assert "@import" not in style
