"""A web server for the example pages and for the packages from npm that they import.

There is no build step: an import map in each page names the files. React is published in CommonJS only, which no browser reads, so
this server puts its files into modules as a bundler would.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
PACKAGES: Final = HERE.parents[1] / "tests" / "clients" / "node_modules"
MEDIA_TYPES: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


class Pages(BaseHTTPRequestHandler):
    """Only files below this folder and below the packages are served."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.split("?")[0].lstrip("/")
        folder, name = (PACKAGES, path.removeprefix("npm/")) if path.startswith("npm/") else (HERE, path)
        file = (folder / name).resolve()
        found = file.is_relative_to(folder.resolve()) and file.suffix in MEDIA_TYPES and file.is_file()
        body = b""
        if found:
            body = file.read_bytes()
            if "/cjs/" in path:
                body = as_module(body.decode()).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", MEDIA_TYPES[file.suffix] if found else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        return


@contextmanager
def serving(port: int) -> Iterator[ThreadingHTTPServer]:
    """The server on this port, or on any if it is 0. It answers once `serve_forever` is called."""
    with ThreadingHTTPServer(("127.0.0.1", port), Pages) as server:
        yield server


def as_module(script: str) -> str:
    """A CommonJS file as an ECMAScript module whose default export is what the file exports."""
    needed = list(dict.fromkeys(re.findall(r'\brequire\("([^"]+)"\)', script)))
    imports = "".join(f'import d{number} from "{name}";\n' for number, name in enumerate(needed))
    given = ", ".join(f'"{name}": d{number}' for number, name in enumerate(needed))
    return (
        f"{imports}const module = {{ exports: {{}} }};\n"
        f"(function (module, exports, require) {{\n{script}\n}})(module, module.exports, (name) => ({{ {given} }})[name]);\n"
        "export default module.exports;\n"
    )
