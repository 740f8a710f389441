"""The state that a verification keeps between its steps, and its written form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from application.evidence.checkpoints import ReadProgress
from application.evidence.differences import Compared, Difference, Fault, Kind
from domain.checkpoint import Checkpoint
from domain.merkle import HASH, GrowingTree


@dataclass(slots=True)
class Verified:
    """How far a verification is: the whole state that any process needs to go on later.

    `covered` is the newest checkpoint that the log agrees with, `contradicted` the first one that it doesn't agree with.
    `committed` is how many events the tree must have, according to the newest checkpoint in the database that agrees.
    """

    tree: GrowingTree = field(default_factory=GrowingTree)
    compared: Compared = field(default_factory=Compared)
    places: dict[str, ReadProgress] = field(default_factory=dict)
    covered: Checkpoint | None = None
    contradicted: Checkpoint | None = None
    committed: int = 0
    bad_tiles: list[Fault] = field(default_factory=list)

    def written(self) -> dict[str, Any]:
        """The state in the types of JSON."""
        compared = self.compared
        return {
            "edge": [b"".join(hashes).hex() for hashes in self.tree.edge],
            "index": compared.index,
            "position": compared.position,
            "tile": compared.tile,
            "used": compared.used,
            "exhausted": compared.exhausted,
            "differences": compared.count,
            "found": [[one.position, one.index, _hex(one.hash), _hex(one.leaf)] for one in compared.found],
            "places": {place: [*read] for place, read in self.places.items()},
            "covered": self.covered and self.covered.text,
            "contradicted": self.contradicted and self.contradicted.text,
            "committed": self.committed,
            "bad_tiles": [*map(list, self.bad_tiles)],
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        edges = [bytes.fromhex(hashes) for hashes in written["edge"]]
        found = [
            Difference(position, index, _bytes(hash_), _bytes(leaf))
            for position, index, hash_, leaf in written["found"]
        ]
        return cls(
            GrowingTree([[edge[at : at + HASH] for at in range(0, len(edge), HASH)] for edge in edges]),
            Compared(
                written["index"],
                written["position"],
                written["tile"],
                written["used"],
                written["exhausted"],
                written["differences"],
                found,
            ),
            {place: ReadProgress(*read) for place, read in written["places"].items()},
            written["covered"] and Checkpoint.parse(written["covered"]),
            written["contradicted"] and Checkpoint.parse(written["contradicted"]),
            written["committed"],
            [Fault(Kind(kind), *rest) for kind, *rest in written["bad_tiles"]],
        )


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
