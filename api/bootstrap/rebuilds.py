"""Wires the rebuilding of what is made from the log: the current preferences and the audit index."""

from application.progress import Progress
from application.rebuild import Rebuild, RebuildResult
from infrastructure.evidence.sweep.index_repair import compare_index as compare_index
from infrastructure.preferences.shadow_table import ShadowTable


async def rebuild(url: str, progress: Progress, *, swap: bool) -> RebuildResult:
    async with ShadowTable.open(url) as shadow:
        return await Rebuild(shadow, progress).run(swap=swap)
