"""What the commands find of a toggle that has left the catalogue."""

import asyncio
import json
from pathlib import Path

from tests.support.catalogues import catalogue, published
from tests.support.command import Command
from tests.support.events import opened, toggled
from tests.support.filled_log import put, take_in


def test_a_toggle_of_an_earlier_catalogue_is_replayed_and_exported(
    preferences: Command, database_url: str, folder: Path
) -> None:
    put(database_url, [published(catalogue(1, news=True)), opened(), toggled(2, "news", False)])
    asyncio.run(take_in(database_url))
    path = folder / "events.jsonl"
    replay = ("replay", "--to", "jsonl", "-o", str(path), "--toggle")
    assert preferences(*replay, "news").stdout == "1 event, up to position 3\n"
    put(database_url, [toggled(3, "news", True)])
    assert preferences(*replay, "news").stdout == "1 event, up to position 4\n"
    assert [json.loads(line)["data"]["enabled"] for line in path.read_text().splitlines()] == [False, True]
    audit = preferences("audit", "export", "--org", "org_math", "--toggle", "news")
    assert len(audit.stdout.splitlines()) == 1
    for misspelt in (
        (*replay, "novelties"),
        ("audit", "export", "--org", "org_math", "--toggle", "novelties", "-o", str(folder / "audit")),
    ):
        result = preferences(*misspelt)
        assert result.returncode == 2
        assert "unknown toggle" in result.stderr
    assert not (folder / "audit").exists()
