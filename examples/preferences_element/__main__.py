"""Serves the example pages on http://localhost:8080 (PORT)."""

import os

from examples.preferences_element.pages import serving

with serving(int(os.environ.get("PORT", "8080"))) as server:
    print(f"http://localhost:{server.server_port}/plain.html (also react.html, vue.html)", flush=True)  # noqa: T201 - what the program is for
    server.serve_forever()
