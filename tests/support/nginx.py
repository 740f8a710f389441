"""A real nginx in front of a server, with nothing set but where to. It serves everything below `/below/`, too."""

import subprocess
import time
from pathlib import Path
from typing import Self

import httpx

from tests.support.counterparts import counterpart
from tests.support.ports import free_port

CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {upstream}; }}
    location /below/ {{ proxy_pass {upstream}/; }}
  }}
}}
"""


class Nginx:
    def __init__(self, upstream: str, folder: Path) -> None:
        self._program = counterpart("nginx", "nginx isn't there: install Debian's nginx-light")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._file = folder / "nginx.conf"
        self._file.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=upstream))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([self._program, "-c", self._file], stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                httpx.get(self.url, timeout=5)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return self
        raise RuntimeError("nginx did not come up")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def status(self) -> int:
        return httpx.get(f"{self.url}/healthz", timeout=5).status_code
