"""A small log in memory, with its signed checkpoints and the bundles of its users."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from application.evidence.bundle import Bundle, Proven
from domain.checkpoint import Checkpoint
from domain.leaf import Leaf
from domain.merkle import inclusion_proof, leaf_hash, root_of
from domain.preferences import stream_id
from domain.published_catalogues import STREAM as CATALOGUES
from infrastructure.evidence.signed_note import NoteSigner
from infrastructure.log.event_codec import encode
from tests.support.events import KEY, TRACEPARENT, catalogue_published, erased, opened, toggled

ORIGIN = "example.com/preferences"
SIGNED_AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


class SignedLog:
    """At most 255 events, so that its tree is one tile. The signer's key follows from the seed."""

    def __init__(self, seed: int = 1, origin: str = ORIGIN) -> None:
        self.signer = NoteSigner(origin, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))
        self.public_key = str(self.signer.verifier)
        self.origin = origin
        self.leaves: list[Leaf] = []

    def append(self, *events, key: bytes | None = KEY) -> None:
        for event in events:
            self.append_stored(*encode(event, key))

    def append_stored(self, *stored) -> None:
        """Anything, also what no release would write. Positions have gaps."""
        self.leaves.append(Leaf(3 * len(self.leaves) + 5, *stored))

    def checkpoint_text(self, size: int | None = None, origin: str | None = None) -> str:
        leaves = self.leaves[:size]
        root = root_of([leaf_hash(leaf.data) for leaf in leaves])
        return Checkpoint(origin or self.origin, len(leaves), root, leaves[-1].position, SIGNED_AT).text

    def proven(self, stream, size: int | None = None) -> list[Proven]:
        hashes = [leaf_hash(leaf.data) for leaf in self.leaves[:size]]

        def entries(level: int, first: int, count: int) -> Sequence[bytes]:
            assert level == 0
            return hashes[first : first + count]

        return [
            Proven(index, leaf, inclusion_proof(index, len(hashes), entries))
            for index, leaf in enumerate(self.leaves[: len(hashes)])
            if leaf.stream == stream
        ]

    def bundle(self, organization: str | None, user: str, key: bytes | None = KEY) -> Bundle:
        events = self.proven(stream_id(organization, user))
        return Bundle(
            organization, user, key, self.signer.sign(self.checkpoint_text()), events, self.proven(CATALOGUES)
        )


def told_in_words(version: int):
    """A catalogue, from version 2 on with words."""
    digest = {"name": "weekly_usage_digest", "default": False, "mandatory": False}
    words = {"title": "News <b>& more</b>", "description": "All “that” is new."} if version > 1 else {}
    updates = {"name": "product_updates", **words, "default": True, "mandatory": False}
    return catalogue_published(version, channels=[{"name": "email", "toggles": [updates, digest]}])


def filled(seed: int = 1, origin: str = ORIGIN) -> SignedLog:
    """Ada in an organization among others, with support acting once in her name; Bob without one."""
    log = SignedLog(seed, origin)
    bob = stream_id(None, "user_bob")
    log.append(told_in_words(1), opened(), opened(bob), toggled(2, "product_updates", False))
    for number in range(20):
        other = stream_id("org_math", f"user_{number}")
        log.append(opened(other, actor={"user": f"user_{number}"}))
    log.append(toggled(2, "weekly_usage_digest", True, bob), told_in_words(2))
    support = {"user": "user_ada", "session": "sess_2", "impersonator": "user_staff"}
    log.append(
        toggled(3, "weekly_usage_digest", True, actor=support, impersonated=True, source="admin"),
        toggled(4, "product_updates", True, previous=False, catalogue_version=2),
        toggled(5, "gone_toggle", True, catalogue_version=3),
    )
    log.append(toggled(3, "weekly_usage_digest", False, bob, previous=True, source="link"))
    return log


def traced_log() -> SignedLog:
    """A log in which one choice came with a traceparent and one without."""
    log = SignedLog(7)
    log.append(told_in_words(1), opened(traceparent=TRACEPARENT))
    log.append(toggled(2, "product_updates", False, traceparent=TRACEPARENT))
    log.append(toggled(3, "product_updates", True, previous=False))
    return log


def unsealed_log() -> SignedLog:
    """A log from before sealing, with an erasure after which the person chose again under another key."""
    log = SignedLog(4)
    log.append(told_in_words(1), opened(), toggled(2, "product_updates", False), key=None)
    log.append(toggled(3, "product_updates", True, previous=False), erased(4))
    log.append(toggled(5, "product_updates", False, previous=True), key=KEY[::-1])
    return log


def erased_log() -> SignedLog:
    log = SignedLog(5)
    log.append(told_in_words(1), opened(), toggled(2, "product_updates", False), erased(3))
    return log


def strange_user_log() -> SignedLog:
    """A user and an organization with characters that each encoding writes in another way."""
    organization, user = 'org <b>"é"</b>\u2028\\', "user_\x7f\U0001f600\n"
    log = SignedLog(6)
    log.append(opened(stream_id(organization, user), actor={"user": user}, organization=organization))
    return log
