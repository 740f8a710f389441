"""The tree of RFC 6962, against the vectors that Certificate Transparency's own implementations share."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.merkle import (
    EMPTY_ROOT,
    TILE,
    GrowingTree,
    consistency_proof,
    continues,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)

DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in DATA]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A, B, C, D, E, F, G = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
)


class Tiles:
    """Tiles in memory, as a reader of proofs finds them. Also whether each read lies within one tile."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        tree = GrowingTree()
        self.tiles: dict[tuple[int, int], Sequence[bytes]] = {}
        for start in range(0, len(leaves), TILE):
            self.keep(tree.append(leaves[start : start + TILE]))
        self.keep(tree.unfinished())
        self.tree = tree

    def keep(self, tiles) -> None:
        self.tiles |= {(tile.level, tile.index): tile.hashes for tile in tiles}

    def __call__(self, level: int, first: int, count: int) -> Sequence[bytes]:
        index, offset = divmod(first, TILE)
        assert offset + count <= TILE
        found = self.tiles[level, index][offset : offset + count]
        assert len(found) == count
        return found


@cache
def numbered(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


@cache
def grown(size: int) -> Tiles:
    """Kept, since the large sizes come again and again, and nothing here changes one."""
    return Tiles(numbered(size))


@cache
def root_by_the_book(size: int) -> bytes:
    return by_the_book(numbered(size))


def by_the_book(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(by_the_book(hashes[:k]), by_the_book(hashes[k:]))


def hexes(proof: Sequence[bytes]) -> list[str]:
    return [sibling.hex() for sibling in proof]


def test_the_root_over_nothing_is_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of([]) == GrowingTree().root() == EMPTY_ROOT


def test_roots_are_those_of_the_published_vectors() -> None:
    assert [root_of(LEAVES[:size]).hex() for size in range(1, 9)] == ROOTS


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, F]),
        (2, 3, [ROOTS[1]]),
        (5, 7, [D, "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f", F]),
        (6, 7, [G, F]),
    ],
)
def test_inclusion_proofs_are_those_of_the_published_vectors(index: int, size: int, expected: list[str]) -> None:
    proof = inclusion_proof(index, size, Tiles(LEAVES[:size]))
    assert hexes(proof) == expected
    assert includes(bytes.fromhex(ROOTS[size - 1]), size, index, LEAVES[index], proof)


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        (1, 1, []),
        (1, 8, [A, B, C]),
        (6, 8, [G, E, F]),
        (2, 5, [B, D]),
        (6, 7, [G, "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f", F]),
    ],
)
def test_consistency_proofs_are_those_of_the_published_vectors(older: int, newer: int, expected: list[str]) -> None:
    proof = consistency_proof(older, newer, Tiles(LEAVES))
    assert hexes(proof) == expected
    assert continues(bytes.fromhex(ROOTS[older - 1]), older, bytes.fromhex(ROOTS[newer - 1]), newer, proof)


SIZES = st.integers(1, 300) | st.sampled_from([255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 66049])


@given(SIZES)
@settings(deadline=None, max_examples=40)
def test_a_grown_tree_has_the_root_of_the_book(size: int) -> None:
    tree = grown(size).tree
    assert tree.size == size
    assert tree.root() == root_by_the_book(size)
    assert GrowingTree([tile.hashes for tile in edge_of(tree)]).root() == root_by_the_book(size)


def edge_of(tree: GrowingTree):
    """The unfinished tiles with the empty ones between."""
    unfinished = {tile.level: tile for tile in tree.unfinished()}
    height = max(unfinished)
    empty = type(unfinished[height])(0, 0, [])
    return [unfinished.get(level, empty) for level in range(height + 1)]


@given(st.integers(0, 600), st.integers(0, 255))
@settings(deadline=None)
def test_a_root_with_a_few_more_leaves_is_the_one_after_they_are_appended(size: int, more: int) -> None:
    leaves = numbered(size + more)
    tree = Tiles(leaves[:size]).tree
    few = leaves[size : size + min(more, tree.room)]
    expected = Tiles(leaves[: size + len(few)]).tree.root()
    assert tree.root(few) == expected
    assert tree.size == size


@given(SIZES, st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_in_the_tree_can_be_proven_and_nothing_else(size: int, data) -> None:
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    tiles = grown(size)
    root, proof = tiles.tree.root(), inclusion_proof(index, size, tiles)
    assert includes(root, size, index, leaves[index], proof)
    assert not includes(root, size, index, leaves[index][::-1], proof)
    assert not includes(root[::-1], size, index, leaves[index], proof)
    assert not includes(root, size, size, leaves[index], proof)
    assert not includes(root, size, index, leaves[index], [*proof, root])
    if proof:
        assert not includes(root, size, index, leaves[index], proof[:-1])
        assert not includes(root, size, index ^ 1, leaves[index], proof)


@given(SIZES, st.data())
@settings(deadline=None, max_examples=60)
def test_a_tree_continues_each_of_its_beginnings_and_nothing_else(newer: int, data) -> None:
    older = data.draw(st.integers(1, newer))
    tiles = grown(newer)
    old, new = Tiles(numbered(newer)[:older]).tree.root(), tiles.tree.root()
    proof = consistency_proof(older, newer, tiles)
    assert continues(old, older, new, newer, proof)
    assert not continues(old, older, new[::-1], newer, proof)
    assert not continues(old[::-1], older, new, newer, proof)
    assert not continues(old, older, new, newer, [*proof, new])
    assert not continues(old, newer + 1, new, newer, proof)
    if proof:
        assert not continues(old, older, new, newer, proof[:-1])
        assert not continues(old, older, new, newer, [])


def test_a_proof_without_the_hashes_that_it_needs_shows_nothing() -> None:
    assert not continues(bytes.fromhex(ROOTS[2]), 3, bytes.fromhex(ROOTS[4]), 5, [])


def test_there_is_no_proof_of_what_is_not_there() -> None:
    tiles = Tiles(LEAVES)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ValueError, match="there is no leaf"):
            inclusion_proof(index, size, tiles)
    for older, newer in ((0, 8), (8, 7)):
        with pytest.raises(ValueError, match="no tree of"):
            consistency_proof(older, newer, tiles)
