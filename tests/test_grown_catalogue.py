"""A toggle or a channel is one edit: a copy of the tree gets both, and its tests still pass."""

from pathlib import Path

from domain.catalogue import CATALOGUE
from tests.support.grown_tree import ROOT, GrownTree
from tests.support.soak import rounds, soak

IN_PROCESS = ("tests/domain", "tests/projections", "tests/application")
HARD_CODED = "tests/domain/test_hard_coded.py"

# What the long form runs: all but the tests of servers and their ends, and of other people's tools.
FAST = [
    *IN_PROCESS,
    *(f"tests/infrastructure/{room}" for room in ("audit", "decisions", "log", "preferences")),
    "tests/api",
    "tests/examples",
]


def knowing_the_catalogue() -> list[str]:
    """The tests of the inner layers, and of the description, that name the product's catalogue."""
    files = [file for folder in IN_PROCESS for file in sorted((ROOT / folder).rglob("test_*.py"))]
    files.append(ROOT / "tests" / "api" / "documentation" / "test_described_schemas.py")
    return [str(file.relative_to(ROOT)) for file in files if "import CATALOGUE" in file.read_text()]


@soak
def test_a_toggle_and_a_channel_are_one_edit_and_one_command(tmp_path: Path) -> None:
    # Given the edit and the command in a copy of the tree, and there a test that counts on the toggles of today
    tree = GrownTree(tmp_path / "tree")
    tree.add_to_the_catalogue()
    assert tree.renew(), "a forgotten `make openapi` would go unnoticed"
    (tree.folder / HARD_CODED).write_text(
        "from domain.catalogue import CATALOGUE\n\n\n"
        "def test_it_knows_every_toggle() -> None:\n"
        f"    assert len(CATALOGUE.defaults) == {len(CATALOGUE.defaults)}\n"
    )
    # when the copy is tested, then that one fails (it is the control), and no other.
    failed, said = tree.failures(HARD_CODED, *rounds(knowing_the_catalogue(), FAST))
    assert failed == {f"{HARD_CODED}::test_it_knows_every_toggle"}, said
