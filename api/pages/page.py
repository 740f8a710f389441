"""An HTML page: its frame, its headers, and the escaping of everything that is put into it."""

from collections.abc import Sequence
from html import escape
from typing import Final, LiteralString

from api.http.answer import Answer
from api.pages.assets import ASSETS, ELEMENTS, published

HTML: Final = (b"content-type", b"text/html; charset=utf-8")
STYLE: Final = "look.css"
ICON: Final = "icon.svg"


class Markup(str):
    """HTML that is safe to send. Only `markup` makes it."""

    __slots__ = ()


def markup(template: LiteralString, **values: str) -> Markup:
    """The template with the values in its `{name}` places. A value that isn't `Markup` itself is text: it is escaped, also for attributes."""
    return Markup(template.format(**{name: _safe(value) for name, value in values.items()}))


def joined(parts: Sequence[Markup]) -> Markup:
    return Markup("".join(parts))


def page(
    title: str,
    body: Markup,
    *,
    status: int = 200,
    root: str = "",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    elements: Sequence[str] = (),
    head: Markup | None = None,
    front_end: str | None = None,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Answer:
    """`body` is what stands in `<body>`. `styles` and `scripts` name files of `/assets/`, and `elements` modules of `/elements/`.

    `root` is the way from the page's address to the service's root: `""` for `/preferences`, `"../"` for `/unsubscribe/{token}`. All
    addresses are relative, so a proxy may serve the page under a prefix. `front_end` is the origin of Clerk's script, if the page loads it.
    """
    assets = published()
    links = [
        *(_style(root + assets.address(name)) for name in (STYLE, *styles)),
        *(_script(root + assets.address(name, ELEMENTS)) for name in elements),
        *(_script(root + assets.address(name, ASSETS)) for name in scripts),
    ]
    document = markup(
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" type="image/svg+xml" href="{icon}">\n{links}{head}</head>\n<body>\n{body}</body>\n</html>\n',
        title=title,
        icon=root + assets.address(ICON),
        links=joined(links),
        head=head or Markup(),
        body=body,
    )
    return Answer(status, document.encode(), [HTML, *_protection(front_end), *headers])


def sentence(status: int, title: str, text: str, *, root: str = "") -> Answer:
    """A page that says one thing, such as an error."""
    body = markup('<main class="narrow"><h1>{title}</h1><p>{text}</p></main>', title=title, text=text)
    return page(title, body, status=status, root=root)


def _protection(front_end: str | None) -> list[tuple[bytes, bytes]]:
    own = "'self'" if front_end is None else f"'self' {front_end}"
    policy = {
        "default-src": "'none'",
        "script-src": own,
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": own,
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    if front_end is None:
        # No script of ours makes elements from text. Clerk's script is not ours.
        policy |= {"require-trusted-types-for": "'script'", "trusted-types": "'none'"}
    else:
        # Clerk's script renews its token in a worker that it makes from a blob.
        policy["worker-src"] = "blob:"
    return [
        (b"content-security-policy", "; ".join(f"{name} {value}" for name, value in policy.items()).encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"private, no-cache"),
    ]


def _safe(value: str) -> str:
    return value if isinstance(value, Markup) else escape(value, quote=True)


def _style(address: str) -> Markup:
    return markup('<link rel="stylesheet" href="{address}">\n', address=address)


def _script(address: str) -> Markup:
    return markup('<script type="module" src="{address}"></script>\n', address=address)
