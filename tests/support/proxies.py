"""Real proxies in front of the service, configured by the boxes of docs/proxies.md."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.counterparts import counterpart
from tests.support.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
UP_WITHIN = 10.0
NOTHING: Mapping[str, str] = {}
KEY_PAIR = "/etc/ssl/preferences.pem"


def box(heading: str) -> str:
    """The one box of the page below this heading."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [found] = re.findall(r"^```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return found


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Each part that is another one on this machine is in the text, and is replaced."""
    for before, after in values.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


def addresses(upstreams: tuple[str, ...]) -> dict[str, str]:
    """Where the service is, in place of what the page says: a single process stands in for both of them."""
    return {"127.0.0.1:8000": upstreams[0], "127.0.0.1:8001": upstreams[-1]}


@contextmanager
def running(command: list[str | Path], port: int, log: Path) -> Iterator[None]:
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
def prepared(package: str, program: str) -> Iterator[tuple[Path, Path, int]]:
    """The program, a folder that each account can read, and a port."""
    found = counterpart(program, f"{program} isn't there: install Debian's {package}")
    with TemporaryDirectory(prefix="preferences-proxy-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield found, folder, free_port()


@contextmanager
def nginx(*upstreams: str, changed: Mapping[str, str] = NOTHING) -> Iterator[str]:
    """nginx with TLS and HTTP/2 in front of `upstreams` (hosts and ports); its address, without `/prefs`. `changed`: what
    is another text than in the page."""
    with prepared("nginx-light", "nginx") as (program, folder, port):
        certificate(folder)
        own = {"listen 443 ": f"listen 127.0.0.1:{port} ", "/etc/ssl/preferences": f"{folder}/preferences"}
        server = replaced(replaced(box("nginx"), changed), {**addresses(upstreams), **own})
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}\n{server}\n}}\n"
        )
        with running([program, "-p", folder, "-c", f"{folder}/nginx.conf"], port, folder / "log"):
            yield f"https://127.0.0.1:{port}"


@contextmanager
def haproxy(*upstreams: str, heading: str = "haproxy", changed: Mapping[str, str] = NOTHING) -> Iterator[str]:
    """haproxy, with TLS and HTTP/2 unless that is changed; its address, without `/prefs`."""
    with prepared("haproxy", "haproxy") as (program, folder, port):
        certificate(folder)
        text = replaced(box(heading), changed)
        own = {"bind :443": f"bind 127.0.0.1:{port}"}
        if with_tls := KEY_PAIR in text:
            own[KEY_PAIR] = f"{folder}/both.pem"
        (folder / "haproxy.cfg").write_text(replaced(text, {**addresses(upstreams), **own}))
        with running([program, "-db", "-f", f"{folder}/haproxy.cfg"], port, folder / "log"):
            yield f"{'https' if with_tls else 'http'}://127.0.0.1:{port}"


@contextmanager
def balancer(*upstreams: str, changed: Mapping[str, str] = NOTHING) -> Iterator[str]:
    """What behaves like a cloud's balancer. It takes no prefix away."""
    with haproxy(*upstreams, heading="A cloud balancer", changed=changed) as address:
        yield address


@contextmanager
def apache(*upstreams: str, changed: Mapping[str, str] = NOTHING) -> Iterator[str]:
    """Apache without TLS; its address, without `/prefs`."""
    modules = Path("/usr/lib/apache2/modules")
    needed = ("mpm_event", "authz_core", "filter", "deflate", "proxy", "proxy_http")
    with prepared("apache2", "apache2") as (program, folder, port):
        own = {"*:80": f"127.0.0.1:{port}", "127.0.0.1:8000": upstreams[0]}
        host = replaced(replaced(box("Apache"), changed), own)
        loaded = "".join(f"LoadModule {module}_module {modules}/mod_{module}.so\n" for module in needed)
        (folder / "apache.conf").write_text(
            f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
            f"Listen 127.0.0.1:{port}\n{loaded}User www-data\nGroup www-data\n{host}\n"
        )
        with running([program, "-DFOREGROUND", "-f", f"{folder}/apache.conf"], port, folder / "log"):
            yield f"http://127.0.0.1:{port}"


BOXES = [(nginx, "/prefs"), (haproxy, "/prefs"), (apache, "/prefs"), (balancer, "")]
"""Each box of the page, and the prefix that it takes away."""


def certificate(folder: Path) -> None:
    """A certificate that nobody has signed but itself; in `both.pem` together with its key."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-keyout preferences.key -out preferences.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = (folder / "preferences.key").read_text() + (folder / "preferences.pem").read_text()
    (folder / "both.pem").write_text(both)
