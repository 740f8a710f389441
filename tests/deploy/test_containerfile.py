"""The Containerfile, as far as it can be read: what it promises to those who run it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.containerfile import ROOT, context, stages
from tests.support.counterparts import counterpart

TEXT = (ROOT / "Containerfile").read_text()
BUILD, FINAL = stages(TEXT)
IGNORED = (ROOT / ".dockerignore").read_text()
HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_finds_nothing() -> None:
    linter = counterpart(HADOLINT, "hadolint isn't there: `make test` installs it")
    done = subprocess.run([linter, "--no-color", ROOT / "Containerfile"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    """The control."""
    linter = counterpart(HADOLINT, "hadolint isn't there: `make test` installs it")
    worse = tmp_path / "Containerfile"
    worse.write_text(TEXT.replace('CMD ["serve"]', "CMD serve"))
    done = subprocess.run([linter, "--no-color", worse], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "DL3025" in done.stdout


def test_nothing_reaches_the_builder_but_what_is_copied() -> None:
    sent = {path.parts[0] for path in context(IGNORED)}
    copied = {word.rstrip("/") for one in BUILD.all("COPY") for word in one.words[:-1]}
    assert sent == copied
    assert not [path for path in context(IGNORED) if path.suffix == ".pyc" or "__pycache__" in path.parts]


def test_the_builder_gets_all_packages_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {word.rstrip("/") for one in BUILD.all("COPY") for word in one.words[:-1]}
    assert {*packages, project["project"]["readme"], "pyproject.toml", "requirements.txt"} == copied


def test_the_lock_is_installed_with_its_hashes_and_as_wheels() -> None:
    [install] = [one.value for one in BUILD.all("RUN") if "requirements.txt" in one.value]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install


def test_the_base_can_be_replaced_by_a_digest() -> None:
    digest = "registry.example.com/python@sha256:" + "0" * 64
    pinned = re.sub(r"^ARG PYTHON=.*$", f"ARG PYTHON={digest}", TEXT, flags=re.MULTILINE)
    assert [stage.base for stage in stages(pinned)] == [digest, digest]


def test_it_runs_as_an_account_with_a_number() -> None:
    # Kubernetes can't tell from a name whether it is root.
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", FINAL.last("USER").value)


@pytest.mark.parametrize("word", ["ENTRYPOINT", "CMD"])
def test_what_runs_needs_no_shell(word: str) -> None:
    assert FINAL.last(word).is_exec_form


def test_the_health_check_needs_no_shell_either() -> None:
    assert re.search(r'CMD \["preferences", "probe", "live"\]$', FINAL.last("HEALTHCHECK").value)


def test_the_driver_finds_the_certificates_that_the_manifests_trust() -> None:
    assert "sslrootcert=system" in (ROOT / "deploy/kubernetes/secrets.example.yaml").read_text()
    # Debian's package ca-certificates, which the base image has. (What the driver does without it: tests/infrastructure/postgres/test_tls.py.)
    assert FINAL.last("ENV").pairs["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"


def test_it_stops_with_sigterm() -> None:
    assert FINAL.last("STOPSIGNAL").value == "SIGTERM"


def test_it_says_what_it_is() -> None:
    labels = FINAL.last("LABEL").pairs
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "version", "revision")} == set(
        labels
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["org.opencontainers.image.title"] == project["name"]
    assert labels["org.opencontainers.image.description"] == project["description"]
