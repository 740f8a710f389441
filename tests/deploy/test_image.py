"""The image, built by its Containerfile and run in a root of its own: what docs/deploy.md says of it.

In `make test` the packages of the lock are those of this environment, with the Python of this environment. In `make soak` they are installed
from the package index, by hash, with the Python of the base image if this machine has one.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution, requires
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import nats
import pytest
from nats.js.errors import NotFoundError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.nats_server import NatsServer
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support.bare_root import Build, Container, Image, base_python
from tests.support.composed import composed, environment_of
from tests.support.containerfile import ROOT, stages
from tests.support.eventually import until
from tests.support.manifests import pod_environment
from tests.support.ports import free_port
from tests.support.server import PATH
from tests.support.soak import SOAK, soak
from tests.support.tokens import ISSUER, bearer, public_pem
from tests.test_requirements import pinned

pytestmark = soak

ENVIRONMENT = "opt/preferences"
LAPTOP = environment_of(ROOT / "deploy/compose/development.env")
CHANGE = {"email": {"weekly_usage_digest": True}}


def placed_from_here(build: Build, command: str) -> bool:
    """In place of the installation of the lock: the same packages, as they are installed here."""
    if "--require-hashes" not in command:
        return False
    here, there = Path(sysconfig.get_path("purelib")), build.root / ENVIRONMENT
    packages = there / here.relative_to(sys.prefix)
    for name in pinned("requirements.txt"):
        for file in distribution(name).files or ():
            source, target = here / file, Path(os.path.normpath(packages / file))
            # A script names the Python of this environment, and is not used.
            if source.is_file() and not (target.parent.name == "bin" and source.read_bytes()[:2] == b"#!"):
                target.parent.mkdir(parents=True, exist_ok=True)
                linked(source, target)
    return True


def linked(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # Another file system.
        shutil.copy2(source, target)


def python_of_the_base() -> Path:
    """The prefix of a Python of the version that the image is made from, if this machine keeps one beside that of the tests, as pyenv does."""
    version = re.search(r"python:(\d+\.\d+)", stages((ROOT / "Containerfile").read_text())[0].base)
    assert version is not None
    beside = sorted(base_python().parent.glob(f"{version[1]}.*/bin/python"))
    return beside[-1].parents[1] if beside else base_python()


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with TemporaryDirectory(prefix="preferences-test-") as folder:
        if SOAK:
            yield Image(Path(folder), python_of_the_base())
        else:
            yield Image(Path(folder), base_python(), instead=placed_from_here)


class Containers:
    """Starts containers of one image, and ends those that are left."""

    def __init__(self, image: Image, folder: Path) -> None:
        self._image, self._folder = image, folder
        self._running: list[Container] = []

    def start(self, *arguments: str, **more: Any) -> "tuple[Container, Path]":
        said = self._folder / f"said-{len(self._running)}"
        with said.open("wb") as output:
            container = self._image.start(*arguments, output=output, **{"environment": {}, **more})
        self._running.append(container)
        return container, said

    def run(self, *arguments: str, code: int = 0, **more: Any) -> str:
        """A container that ends by itself: what it said."""
        container, said = self.start(*arguments, **more)
        assert container.wait() == code, said.read_text()
        return said.read_text()

    def python(self, program: str, **more: Any) -> Any:
        """What a program of Python, in the container, printed as JSON."""
        return json.loads(self.run("-c", program, entrypoint=["python"], **more))

    def serve(self, *arguments: str, **more: Any) -> "tuple[Container, str]":
        """A container that serves, and its address. It is ready."""
        port = free_port()
        environment = {**more.pop("environment"), "PORT": str(port)}
        container, said = self.start(*arguments, environment=environment, **more)
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert container.process.poll() is None, said.read_text()
            try:
                return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(ready, seconds=180)
        except AssertionError as error:
            error.add_note(said.read_text())
            raise
        return container, url

    def end(self) -> None:
        for container in self._running:
            container.end()


@pytest.fixture
def containers(image: Image, folder: Path) -> Iterator[Containers]:
    containers = Containers(image, folder)
    yield containers
    containers.end()


@pytest.fixture
def volume(folder: Path) -> Path:
    """A volume, which belongs to the account of the image."""
    made = folder / "volume"
    made.mkdir(mode=0o750)
    os.chown(made, 10001, 10001)
    return made


@pytest.fixture(scope="module")
def server(image: Image) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL as compose.yaml has it before the service starts: with the two roles, migrated in a container, and with the rights."""
    with TemporaryDirectory(prefix="preferences-test-") as name:
        Path(name).chmod(0o755)
        with EmbeddedPostgres(Path(name), settings={"fsync": "off", "full_page_writes": "off"}) as server:
            # Containers reach its socket through a volume, as another account.
            Path(str(conninfo_to_dict(server.url)["host"])).chmod(0o755)
            # The file makes a database of this name.
            psql(server.database_url("postgres"), "DROP DATABASE IF EXISTS preferences")
            roles = ROOT / "deploy/postgres/roles.sql"
            psql(server.database_url("postgres"), file=roles, OWNER_PASSWORD="laptop", SERVICE_PASSWORD="laptop")
            migrate = composed(LAPTOP)["services"]["migrate"]
            said = Containers(image, Path(name)).run(
                *migrate["command"], environment=reached(server, migrate["environment"]), volumes=socket_of(server)
            )
            assert "published catalogue version" in said
            as_owner = re.sub(r"//.*?@", "//preferences_owner:laptop@", server.database_url("preferences"))
            psql(as_owner, file=ROOT / "deploy/kubernetes/migration/grants.sql")
            yield server


def psql(url: str, statement: str = "", *, file: Path | None = None, **environment: str) -> None:
    program = PostgresBinaries.locate().folder / "psql"
    what = ["--command", statement] if file is None else ["--file", str(file)]
    subprocess.run(
        [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *what, url],
        env={**os.environ, **environment},
        check=True,
        timeout=60,
    )


def reached(server: EmbeddedPostgres, environment: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a container, with the database at the socket that is mounted into it. This PostgreSQL doesn't wait for the disk."""
    port = conninfo_to_dict(server.url)["port"]
    url = re.sub(
        r"@[^/]+/preferences.*", f"@/preferences?host=/run/postgresql&port={port}", environment["DATABASE_URL"]
    )
    return {**environment, "DATABASE_URL": url, "DATABASE_STORAGE": "durable"}


def socket_of(server: EmbeddedPostgres) -> dict[Path, str]:
    return {Path(str(conninfo_to_dict(server.url)["host"])): "/run/postgresql"}


@pytest.fixture
def broker(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder / "broker", settings={"http": "127.0.0.1:-1"}) as server:
        yield server


def messages(broker: NatsServer) -> int:
    """How many are in the relay's stream."""

    async def count() -> int:
        connection = await nats.connect(broker.url)
        try:
            return (await connection.jetstream().stream_info("notification-preferences")).state.messages
        except NotFoundError:
            return 0
        finally:
            await connection.close()

    return asyncio.run(count())


# What is in it


def test_it_has_what_the_service_needs_and_nothing_else(containers: Containers) -> None:
    program = "import json; from importlib.metadata import distributions as d; print(json.dumps([x.name for x in d()]))"
    found = {canonicalize_name(name) for name in containers.python(program)}
    # Given the project, and whatever its packages ask for
    needed, left = set(), [("notification-preferences", frozenset[str]())]
    while left:
        name, extras = left.pop()
        needed.add(name)
        for one in map(Requirement, requires(name) or []):
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ["", *extras]):
                left.append((canonicalize_name(one.name), frozenset(one.extras)))
    # then it has these, and neither pip nor what builds the service.
    assert found == needed


def test_in_make_test_nothing_but_the_installation_of_the_lock_is_replaced(image: Image) -> None:
    assert len(image.replaced) == (0 if SOAK else 1)


WRITES = """
import json, os, pathlib
def said(path):
    try:
        pathlib.Path(path, "written").write_text("x")
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "account": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": [status[name] for name in ("CapPrm", "CapEff", "CapBnd", "NoNewPrivs")],
    "writes": {path: said(path) for path in ("/", "/etc", "/opt/preferences/bin", "/tmp", "/data")},
}))
"""


def test_it_is_not_root_and_writes_nowhere_but_in_its_volume(containers: Containers, volume: Path) -> None:
    found = containers.python(WRITES)
    assert found["account"] == [10001, 10001, []]
    assert found["capabilities"] == ["0" * 16, "0" * 16, "0" * 16, "1"]
    assert set(found["writes"].values()) == {"Read-only file system"}
    # The control: with a volume it writes there.
    found = containers.python(WRITES, volumes={volume: "/data"})
    assert found["writes"].pop("/data") is None
    assert set(found["writes"].values()) == {"Read-only file system"}


def test_it_has_no_shell_here(containers: Containers) -> None:
    """What these tests rest on where they say that none is needed."""
    program = "import os\ntry: os.execv('/bin/sh', ['sh', '-c', 'true'])\nexcept OSError as error: print(error.errno)"
    assert containers.python(program) == 13


# What compose.yaml starts


def test_what_compose_starts_on_a_laptop_serves_and_drains(
    containers: Containers, server: EmbeddedPostgres, broker: NatsServer, volume: Path
) -> None:
    services = composed(LAPTOP)["services"]
    volumes = {volume: "/data", **socket_of(server)}
    settings = {
        name: reached(server, {**services[name]["environment"], "DRAIN": "4", "CHECKPOINT_INTERVAL": "1"})
        for name in ("preferences", "followers", "relay")
    }
    settings["relay"] |= {"NATS_URL": broker.url, "NATS_MONITORING_URL": broker.monitoring_url}
    # Given the database as `migrate` and `grants` leave it,
    # when the server and the followers are started
    command = services["preferences"]["command"]
    container, url = containers.serve(*command, environment=settings["preferences"], volumes=volumes)
    followers, followed = containers.start(
        *services["followers"]["command"], environment=settings["followers"], volumes=volumes
    )
    relay, relayed = containers.start(*services["relay"]["command"], environment=settings["relay"], volumes=volumes)
    # then the health check says so,
    probe = services["preferences"]["healthcheck"]["test"][2:]
    port = {"PORT": url.rpartition(":")[2]}
    assert containers.run(*probe, environment=port) == "/readyz answers 200.\n"
    # anybody on the laptop can be any user,
    token = containers.run("token", "--user", "user_ada", environment=settings["preferences"], volumes=volumes)
    ada = {"Authorization": f"Bearer {token.splitlines()[-1]}"}
    assert httpx.patch(url + PATH, json=CHANGE, headers=ada).json()["data"]["email"]["weekly_usage_digest"] is True
    # the followers sign what was written,
    until(lambda: (volume / "checkpoints").exists() or followers.process.poll() is not None)
    assert followers.process.poll() is None, followed.read_text()
    # and the relay passes it on.
    until(lambda: messages(broker) >= 3 or relay.process.poll() is not None)
    assert relay.process.poll() is None, relayed.read_text()
    # When it is told to stop, it goes on serving,
    container.tell(signal.SIGTERM)
    began = time.monotonic()
    until(lambda: httpx.get(f"{url}/readyz").status_code == 503, seconds=4)
    assert httpx.get(url + PATH, headers=ada).status_code == 200
    # and has ended within the time that compose.yaml gives it.
    patience = float(services["preferences"]["stop_grace_period"].removesuffix("s"))
    assert container.wait(patience) == 0
    assert time.monotonic() - began > 3
    said = containers.run(*probe, code=1, environment=port)
    assert said.startswith("error: no answer from ")
    for beside, what in ((followers, followed), (relay, relayed)):
        beside.tell(signal.SIGTERM)
        assert beside.wait(30) == 0, what.read_text()


# What Kubernetes starts


def test_a_pod_of_the_server_needs_no_folder_to_write_to(containers: Containers, server: EmbeddedPostgres) -> None:
    settings = pod_environment("server.yaml", "preferences-server")
    url = settings["DATABASE_URL"].replace("another-of-your-own", "laptop")
    ours = {"DATABASE_URL": url, "CLERK_ISSUER": ISSUER, "CLERK_JWT_KEY": public_pem(), "CLERK_AUTHORIZED_PARTIES": ""}
    keys = {"UNSUBSCRIBE_KEYS": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    # Given two workers, which share their counts in memory,
    environment = reached(server, {**settings, **ours, **keys, "DRAIN": "0", "WEB_CONCURRENCY": "2"})
    # when the server runs without any volume but the database's socket,
    container, address = containers.serve("serve", environment=environment, volumes=socket_of(server))
    # then it does all that it does,
    answer = httpx.patch(address + PATH, json=CHANGE, headers=bearer("user_bob"))
    assert answer.status_code == 200
    assert "http_server_request_duration_seconds_count" in httpx.get(f"{address}/metrics").text
    # and ends when it is told to.
    container.tell(signal.SIGTERM)
    assert container.wait(30) == 0


# One container for a look


def test_one_container_with_a_volume_is_all_that_a_look_needs(containers: Containers, volume: Path) -> None:
    # PostgreSQL's own programs need the shell that the base image has.
    look: dict[str, Any] = {"volumes": {volume: "/data"}, "shells": True}
    environment = {"DEVELOPMENT_IN_CONTAINER": "on", "DRAIN": "0"}
    container, url = containers.serve(environment=environment, **look)
    asked = {"user": "user_ada", "organization": "org_math"}
    session = httpx.post(f"{url}/development/session", json=asked, headers={"Origin": url})
    assert session.status_code == 200, session.text
    ada = {"Authorization": f"Bearer {session.json()['data']['token']}"}
    assert httpx.patch(url + PATH, json=CHANGE, headers=ada).status_code == 200
    container.tell(signal.SIGTERM)
    assert container.wait(40) == 0


def test_without_an_issuer_it_refuses_to_be_reached(containers: Containers) -> None:
    said = containers.run(code=1)
    assert "HOST 0.0.0.0 can be reached from outside" in said
    assert "DEVELOPMENT_IN_CONTAINER=on" in said
