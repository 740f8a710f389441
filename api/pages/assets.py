"""The static files of the pages, each at two addresses.

The hashed address changes with the content, so a browser may keep its answer for ever. The stable address is asked again each time.
A file lies in a folder `static` of `api/pages/`. Those of `elements/` are served below `/elements/`, because other pages load them
too, and all others below `/assets/`.
"""

import gzip
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import FastAPI, Request
from starlette.types import Scope

from api.http.answer import Answer
from api.http.entity_tags import condition, matches
from api.services import Services
from domain.errors import NotFound

ELEMENTS: Final = "elements"
ASSETS: Final = "assets"
MEDIA_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
FOR_EVER: Final = b"public, max-age=31536000, immutable"
ASK_AGAIN: Final = b"public, no-cache"

_IMPORT: Final = re.compile(r"""(?m)^((?:import|export)\b[^"';]*?["'])(\.{1,2}/[^"']+)(["'])""")
"""An import of another file of ours. Each begins a line. The specifier is the file's path, relative to the importing file."""

_DOCUMENTATION: Final = re.compile(r"(?m)^[ \t]*/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*$")
"""A comment for readers and for TypeScript, alone on its lines."""

_HASHED: Final = re.compile(r"(.+)\.[0-9a-f]{16}(\.[a-z]+)")


class Asset:
    """One file as it is served."""

    def __init__(self, folder: str, name: str, content: bytes) -> None:
        stem, _, ending = name.rpartition(".")
        self.folder, self.name, self.content = folder, name, content
        self.digest = sha256(content).hexdigest()[:16]
        self.hashed_name = f"{stem}.{self.digest}.{ending}"
        self.compressed = gzip.compress(content, 9, mtime=0)
        self.media_type = MEDIA_TYPES[ending]

    @property
    def address(self) -> str:
        """The hashed address, relative to the service's root."""
        return f"{self.folder}/{self.hashed_name}"

    def answer(self, scope: Scope, *, kept: bytes) -> Answer:
        body, tag = self.content, f'"{self.digest}"'.encode()
        headers = [
            (b"cache-control", kept),
            (b"vary", b"Accept-Encoding"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if _takes_gzip(scope):
            body, tag = self.compressed, f'"{self.digest}-gzip"'.encode()
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"etag", tag))
        known = condition(scope, b"if-none-match")
        if known is not None and matches(known, f'"{self.digest}"'.encode()):
            return Answer(304, b"", headers)
        return Answer(200, body, [(b"content-type", self.media_type), *headers])


class Assets:
    """All files. Raises `ValueError` if two have one address, or if an import leads nowhere or in a circle."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        """`sources` maps the path of each file below `api/pages/` to its content."""
        self._sources = sources
        self._by_path: dict[str, Asset] = {}
        self._importing: set[str] = set()
        for path in sources:
            self._load(path)
        self._by_address = {(asset.folder, asset.name): asset for asset in self._by_path.values()}
        if len(self._by_address) != len(self._by_path):
            raise ValueError("two static files have the same name")

    def address(self, name: str, folder: str = ASSETS) -> str:
        """The hashed address of a file, relative to the service's root."""
        return self._by_address[folder, name].address

    def answer(self, scope: Scope, folder: str, name: str) -> Answer:
        """Raises `NotFound`. The hashed address of another release gets this release's file, and must ask again: while releases
        change, a page may come from one process and its script from another."""
        hashed = _HASHED.fullmatch(name)
        asset = self._by_address.get((folder, "".join(hashed.groups()) if hashed else name))
        if asset is None:
            raise NotFound
        return asset.answer(scope, kept=FOR_EVER if name == asset.hashed_name else ASK_AGAIN)

    def _load(self, path: str) -> Asset:
        if path in self._by_path:
            return self._by_path[path]
        if path not in self._sources or path in self._importing:
            raise ValueError(f"{path} can't be imported: it is missing, or imports itself")
        self._importing.add(path)
        folder = ELEMENTS if path.startswith(f"{ELEMENTS}/") else ASSETS
        content = self._sources[path]
        if path.endswith(".js"):
            content = self._with_hashed_imports(path, folder, _without_documentation(content.decode())).encode()
        self._by_path[path] = asset = Asset(folder, posixpath.basename(path), content)
        return asset

    def _with_hashed_imports(self, path: str, folder: str, script: str) -> str:
        def hashed(found: re.Match[str]) -> str:
            imported = self._load(posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2])))
            specifier = imported.hashed_name if imported.folder == folder else f"../{imported.address}"
            return f"{found[1]}{specifier if specifier.startswith('.') else './' + specifier}{found[3]}"

        return _IMPORT.sub(hashed, script)


def _without_documentation(script: str) -> str:
    """A quarter of what a browser would load is documentation. Its lines stay, empty, so that a browser names the lines of the source."""
    return _DOCUMENTATION.sub(lambda found: "\n" * found[0].count("\n"), script)


@cache
def published() -> Assets:
    """The files of this package. Read once, when they are first needed."""
    root = files("api.pages")
    folders = [root, *(entry for entry in root.iterdir() if entry.is_dir())]
    return Assets(dict(file for folder in folders for file in _static(root, folder)))


def _static(root: Traversable, folder: Traversable) -> Iterator[tuple[str, bytes]]:
    static = folder.joinpath("static")
    if static.is_dir():
        place = "static" if folder is root else f"{folder.name}/static"
        for file in static.iterdir():
            if file.name.rpartition(".")[2] in MEDIA_TYPES:
                yield f"{place}/{file.name}", file.read_bytes()


def _takes_gzip(scope: Scope) -> bool:
    accepted = condition(scope, b"accept-encoding") or b""
    for part in accepted.lower().split(b","):
        coding, *parameters = (piece.strip() for piece in part.split(b";"))
        if coding == b"gzip":
            return not any(re.fullmatch(rb"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return False


def add(app: FastAPI, _: Services) -> None:
    files_of_ours = published()

    @app.get(f"/{ASSETS}/{{name}}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Answer:
        return files_of_ours.answer(request.scope, ASSETS, name)

    @app.get(f"/{ELEMENTS}/{{name}}", include_in_schema=False)
    async def element(name: str, request: Request) -> Answer:
        return files_of_ours.answer(request.scope, ELEMENTS, name)
