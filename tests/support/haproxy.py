"""haproxy with TLS and HTTP/2 in front of the service."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.support.counterparts import counterpart
from tests.support.ports import free_port

CONFIGURATION = """
global
    log stderr local0 err
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend outside
    bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn h2,http/1.1
    default_backend service
backend service
    server one {service}
"""


@contextmanager
def haproxy(url: str) -> Iterator[str]:
    """The address at which the service can be reached through it."""
    program = counterpart("/usr/sbin/haproxy", "haproxy isn't there: install Debian's haproxy")
    with TemporaryDirectory(prefix="preferences-haproxy-") as name:
        folder, port = Path(name), free_port()
        _make_certificate(folder)
        (folder / "haproxy.cfg").write_text(
            CONFIGURATION.format(port=port, folder=folder, service=url.removeprefix("http://"))
        )
        process = subprocess.Popen([program, "-db", "-f", folder / "haproxy.cfg"], stderr=subprocess.DEVNULL)
        try:
            outside = f"https://127.0.0.1:{port}"
            _wait_for(outside)
            yield outside
        finally:
            process.terminate()
            process.wait(timeout=20)


def _make_certificate(folder: Path) -> None:
    """One that nobody but itself has signed."""
    openssl = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out certificate.pem"
    )
    subprocess.run(openssl.split(), cwd=folder, check=True, capture_output=True)
    both = (folder / "key.pem").read_text() + (folder / "certificate.pem").read_text()
    (folder / "both.pem").write_text(both)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{url}/healthz", verify=False, timeout=5)
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
