"""A toggle or a channel is one edit: a copy of the tree gets both, and its tests still pass."""

from pathlib import Path

import pytest

from domain.catalogue import CATALOGUE
from tests.support.grown_tree import ROOT, GrownTree
from tests.support.soak import soak

IN_PROCESS = ("tests/domain", "tests/projections", "tests/application")
HARD_CODED = "tests/domain/test_hard_coded.py"
GOLDEN = "tests/api/documentation/test_description.py::test_the_golden_copy_is_what_the_command_prints"

# All that need neither a browser nor a PostgreSQL of their own.
FAST = (*IN_PROCESS, "tests/infrastructure/log", "tests/infrastructure/audit", "tests/api", "tests/examples")


def knowing_the_catalogue() -> list[str]:
    """The tests of the inner layers, and of the description, that name the product's catalogue."""
    files = [file for folder in IN_PROCESS for file in sorted((ROOT / folder).rglob("test_*.py"))]
    files.append(ROOT / "tests" / "api" / "documentation" / "test_described_schemas.py")
    return [str(file.relative_to(ROOT)) for file in files if "import CATALOGUE" in file.read_text()]


@pytest.fixture
def grown(tmp_path: Path) -> GrownTree:
    tree = GrownTree(tmp_path / "tree")
    tree.add_to_the_catalogue()
    return tree


def test_a_toggle_and_a_channel_are_one_edit_and_one_command(grown: GrownTree) -> None:
    # Given the edit, and a test that counts on the toggles of today
    (grown.folder / HARD_CODED).write_text(
        "from domain.catalogue import CATALOGUE\n\n\n"
        "def test_it_knows_every_toggle() -> None:\n"
        f"    assert len(CATALOGUE.defaults) == {len(CATALOGUE.defaults)}\n"
    )
    # when that test runs, and the one of the copy that a command renews, then both fail, and the latter names its command.
    failed, said = grown.failures(HARD_CODED, GOLDEN)
    assert failed == {f"{HARD_CODED}::test_it_knows_every_toggle", GOLDEN}
    assert "`make openapi` renews the copy" in said
    # With the copy renewed, every test that knows the catalogue passes.
    grown.renew()
    failed, said = grown.failures(GOLDEN, *knowing_the_catalogue())
    assert failed == set(), said


@soak
def test_no_fast_test_counts_on_the_toggles_of_today(grown: GrownTree) -> None:
    grown.renew()
    failed, said = grown.failures(*FAST)
    assert failed == set(), said
