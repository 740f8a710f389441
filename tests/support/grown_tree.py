"""A copy of the tree in which the product's catalogue gets a toggle and a channel more, as CONTRIBUTING says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("api", "application", "docs", "domain", "examples", "infrastructure", "projections", "tests")

_TOGGLE: Final = '                Toggle("offers", default=False, words=Words("Offers", "Discounts.")),\n'
_CHANNEL: Final = """        Channel(
            "in_app",
            words=Words("In the app", "Messages in the app itself."),
            toggles=(Toggle("mentions", default=True, words=Words("Mentions", "Somebody has mentioned you.")),),
        ),
"""


class GrownTree:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Compiled files come along, with the times of their sources: so the copy need not compile all modules again.
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
        for file in ROOT.iterdir():
            if file.is_file() and not file.name.startswith("."):
                shutil.copy2(file, folder)

    def add_to_the_catalogue(self) -> None:
        """The one edit: a toggle in the first channel, a channel at the end, and the version counted up."""
        file = self.folder / "domain" / "catalogue.py"
        before, catalogue = file.read_text().split("CATALOGUE: Final = ")
        for pattern, by in (
            (r"version=(\d+)", lambda found: f"version={int(found[1]) + 1}"),
            (r" +toggles=\(\n", lambda found: found[0] + _TOGGLE),
            (r"    \),\n\)\n$", lambda found: _CHANNEL + found[0]),
        ):
            catalogue, edits = re.subn(pattern, by, catalogue, count=1)
            assert edits == 1, pattern
        file.write_text(f"{before}CATALOGUE: Final = {catalogue}")

    def renew(self) -> bool:
        """Do what `make openapi` does. True if the golden copy was not that of the catalogue any more."""
        printed = self._run("-m", "api.command_line", "openapi")
        assert printed.returncode == 0, printed.stderr
        golden = self.folder / "tests" / "golden" / "openapi.json"
        before = golden.read_text()
        golden.write_text(printed.stdout)
        return printed.stdout != before

    def failures(self, *tests: str) -> tuple[set[str], str]:
        """The tests that fail in the copy, with the code of the copy; and all that pytest said."""
        # A long test must not start itself.
        run = self._run("-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", "-m", "not soak", *tests)
        failed = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE))
        assert re.search(r"^\d+ passed|\d+ failed", run.stdout, re.MULTILINE), run.stdout + run.stderr
        assert run.returncode == (1 if failed else 0), run.stdout + run.stderr
        return failed, run.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # What the test runner outside was told about its own run does not hold for the one inside.
        ours = ("PYTEST_", "COV_", "SOAK")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment = {**inherited, "PYTHONPATH": str(self.folder)}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True
        )
