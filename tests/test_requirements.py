"""The compiled requirements, as pip reads them, and the lock files, as npm does."""

import json
import re
from collections import defaultdict
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def pinned(file: str) -> dict[str, set[str]]:
    """The extras that each package is pinned with, of those that this machine needs."""
    found = map(Requirement, re.findall(r"^(\w[^\\]+==[^\\]+)", (ROOT / file).read_text(), re.MULTILINE))
    return {canonicalize_name(one.name): one.extras for one in found if one.marker is None or one.marker.evaluate()}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_a_package_is_pinned_with_every_extra_that_another_asks_for(file: str) -> None:
    # pip takes a package with an extra for another package: unpinned, it is the newest one, whose hash is not in the file, and
    # nothing can be installed from the day on which that is released.
    found = pinned(file)
    asked: dict[str, set[str]] = defaultdict(set)
    for name, extras in found.items():
        for needed in map(Requirement, requires(name) or []):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ["", *extras]):
                asked[canonicalize_name(needed.name)] |= needed.extras
    assert len(found) > 20
    assert {name: extras for name, extras in asked.items() if extras - found[name]} == {}


@pytest.mark.parametrize("folder", ["tests/clients", "bench/contenders/node", "bench/contenders/emmett"])
def test_a_lock_file_of_npm_has_the_hash_of_every_package_and_names_no_registry(folder: str) -> None:
    # Made with `npm install --package-lock-only --omit-lockfile-registry-resolved`: npm takes each package from the registry that it
    # is set up with, and checks it against the hash.
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    asked = json.loads((ROOT / folder / "package.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 20
    assert [name for name, package in packages.items() if not package.get("integrity")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []
    # Those that are asked for have one version, so that figures can be compared.
    pinned = {**asked.get("dependencies", {}), **asked.get("devDependencies", {})}
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in pinned} == pinned
