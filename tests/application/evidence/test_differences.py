"""The log against its tiles, in steps between which the tree grows."""

from application.evidence.checkpoints import LeafTile
from application.evidence.differences import Compared, Differences
from domain.leaf import Leaf
from domain.merkle import leaf_hash
from tests.support.events import ADA


def leaf(position: int, state: str = "{}") -> bytes:
    return Leaf(position, ADA, position, "notification-preferences.toggled", state.encode()).data


def placed(position: int) -> bytes:
    return position.to_bytes(8, "big")


def tile(*positions: int) -> LeafTile:
    hashes = b"".join(leaf_hash(leaf(position)) for position in positions)
    return LeafTile(0, hashes, b"".join(map(placed, positions)))


def compare(differences: Differences, *leaves: bytes) -> None:
    differences.compare([leaf_hash(one) for one in leaves], [one[6:14] for one in leaves], leaves)


def test_entries_that_the_tree_got_for_events_that_were_passed_are_passed_as_well() -> None:
    # Given a step that went beyond what the tree had
    so_far = Compared()
    first = Differences(iter([tile(1, 2, 3)]), so_far)
    compare(first, leaf(1), leaf(2), leaf(3))
    compare(first, leaf(4), leaf(5))
    # when the tree has grown beyond that step, then the next one begins behind it,
    second = Differences(iter([tile(1, 2, 3, 4, 5, 6, 7)]), so_far)
    compare(second, leaf(6), leaf(7, '{"altered":true}'))
    second.finish()
    # and finds what is wrong there, and nothing else.
    assert [fault.sentence for fault in second.faults(0)] == ["position 7 was altered"]
    assert second.entries == 2
