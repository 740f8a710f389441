"""Real proxies in front of the service, configured by the boxes of docs/proxies.md."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
UP_WITHIN = 10.0


def box(language: str) -> str:
    """The one box of the page in this language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return found


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def replaced(text: str, **values: str) -> str:
    """Each part that is another one on this machine is in the text, and is replaced."""
    for before, after in values.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + UP_WITHIN
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


@contextmanager
def nginx(upstream: str) -> Iterator[str]:
    """nginx with TLS and HTTP/2 in front of `upstream` (a host and port); its address, without `/prefs`."""
    binary, port = program("nginx", "nginx-light"), free_port()
    with TemporaryDirectory(prefix="preferences-proxy-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        certificate(folder)
        server = replaced(
            box("nginx"),
            **{
                "127.0.0.1:8000": upstream,
                "listen 443 ": f"listen 127.0.0.1:{port} ",
                "/etc/ssl/preferences": f"{folder}/preferences",
            },
        )
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}\n{server}\n}}\n"
        )
        with running([binary, "-p", name, "-c", f"{folder}/nginx.conf"], port, folder / "log"):
            yield f"https://127.0.0.1:{port}"


@contextmanager
def apache(upstream: str) -> Iterator[str]:
    binary, port = program("apache2", "apache2"), free_port()
    modules = Path("/usr/lib/apache2/modules")
    needed = ("mpm_event", "authz_core", "filter", "deflate", "proxy", "proxy_http")
    with TemporaryDirectory(prefix="preferences-proxy-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        host = replaced(box("apache"), **{"*:80": f"127.0.0.1:{port}", "127.0.0.1:8000": upstream})
        loaded = "".join(f"LoadModule {module}_module {modules}/mod_{module}.so\n" for module in needed)
        (folder / "apache.conf").write_text(
            f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
            f"Listen 127.0.0.1:{port}\n{loaded}User www-data\nGroup www-data\n{host}\n"
        )
        with running([binary, "-DFOREGROUND", "-f", f"{folder}/apache.conf"], port, folder / "log"):
            yield f"http://127.0.0.1:{port}"


def certificate(folder: Path) -> None:
    """A certificate that nobody has signed but itself."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout preferences.key -out preferences.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
