"""Wires the rebuilding of what is made from the log: the current preferences and the audit index."""

from collections.abc import Callable

from application.rebuild import Progress, Rebuild, RebuildResult
from infrastructure.evidence.sweep.index_repair import IndexComparison, compare_index
from infrastructure.preferences.shadow_table import ShadowTable


async def rebuild(url: str, progress: Progress, *, swap: bool) -> RebuildResult:
    async with ShadowTable.open(url) as shadow:
        return await Rebuild(shadow, progress).run(swap=swap)


def compare_audit_index(url: str, progress: Callable[[int, int], None], *, repair: bool) -> IndexComparison:
    """Compare the audit index with the log. With `repair`, make the differing parts again."""
    return compare_index(url, progress, repair=repair)
