"""The packages of the contenders that run in Node, which npm installs from their lock files."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from bench.contender import SERVERS

LEAST = (20, 19)
"""The oldest version of Node that all packages run on: the first in which one kind of module can load the other."""


class Missing(Exception):
    """With a phrase on what is missing."""


def left_out(names: Iterable[str]) -> dict[str, str]:
    """Of these contenders, those that can't run here, and why. The packages of all others are installed afterwards."""
    found = {}
    for contender in SERVERS:
        if contender.name in names:
            try:
                for folder in contender.packages:
                    _install(folder)
            except Missing as error:
                found[contender.name] = str(error)
    return found


def _install(folder: Path) -> None:
    """Raises `Missing`."""
    if version() < LEAST or shutil.which("npm") is None:
        raise Missing(f"it needs Node {'.'.join(map(str, LEAST))} or newer and npm")
    # npm writes the first of these files when it is done.
    installed, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    print(f"npm installs the packages of {folder.name}")
    done = subprocess.run(
        ["npm", "ci", "--prefix", folder, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Missing(f"npm could not install the packages of {folder.name}: {done.stderr.strip()[-300:]}")


def version() -> tuple[int, ...]:
    """Of Node; empty without Node."""
    if shutil.which("node") is None:
        return ()
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, said.strip().removeprefix("v").split(".")))
