"""The example of analytics: what it answers, from a real replay."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.events import Event
from domain.preferences import stream_id
from examples.analytics.answers import Answers, NothingThere, answer
from tests.support.command import Command, environment
from tests.support.events import catalogue_published, opened, toggled
from tests.support.filled_log import put

ROOT = Path(__file__).parents[2]
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
ADA, BOB, EVE = (stream_id("org_math", user) for user in ("user_ada", "user_bob", "user_eve"))


def day(number: int, hour: int = 12) -> datetime:
    return MONDAY + timedelta(days=number, hours=hour)


def catalogue(version: int, at: datetime, **defaults: bool) -> Event:
    toggles = [{"name": name, "default": default, "mandatory": False} for name, default in defaults.items()]
    return catalogue_published(version, channels=[{"name": "email", "toggles": toggles}], timestamp=at)


def chosen(stream: UUID, version: int, at: datetime, toggle: str, enabled: bool, **fields: Any) -> Event:
    return toggled(version, toggle, enabled, stream, timestamp=at, **fields)


@pytest.fixture
def command(folder: Path, database_url: str) -> Command:
    return Command(folder / "data", database_url)


def answered(command: Command, events: Sequence[Event], folder: Path, days: int = 14) -> Answers:
    """From these events, replayed by the real command."""
    put(command.settings["database_url"], events)
    assert command("replay", "--to", "parquet", "--output", str(folder)).returncode == 0
    return answer(folder, days)


def test_three_answers_from_a_log_of_three_weeks(command: Command, tmp_path: Path) -> None:
    later = {"catalogue_version": 2}
    answers = answered(
        command,
        [
            catalogue(1, day(0, 0), news=True, digest=False),
            opened(ADA, timestamp=day(1)),
            chosen(ADA, 2, day(1), "news", False),  # an opt-out, in the first week
            opened(BOB, timestamp=day(6, 23)),
            chosen(BOB, 2, day(6, 23), "news", False),  # another, on the last day of that week
            chosen(BOB, 3, day(6, 23), "digest", False),  # says what the default said
            chosen(ADA, 3, day(7, 0), "news", True, previous=False),  # an opt-in, in the second week
            catalogue(2, day(14, 0), news=True, digest=True),
            opened(EVE, timestamp=day(14, 0)),
            chosen(EVE, 2, day(14, 0), "digest", False, **later),  # by the new default, an opt-out
            chosen(ADA, 4, day(15), "news", False, previous=True, source="one_click", **later),
            chosen(BOB, 4, day(20), "digest", True, previous=False, impersonated=True, **later),
            chosen(BOB, 5, day(20), "digest", False, previous=True, impersonated=True, **later),
        ],
        tmp_path / "replay",
    )
    first, second, third = (date(2026, 1, day) for day in (5, 12, 19))
    assert answers.opt_outs_by_week.rows == [
        (first, "email.digest", 0),
        (first, "email.news", 2),
        (second, "email.digest", 0),
        (second, "email.news", 0),
        (third, "email.digest", 2),
        (third, "email.news", 1),
    ]
    assert answers.opt_outs_by_source.columns == ["source", "by_whom", "opt_outs"]
    assert answers.opt_outs_by_source.rows == [
        ("dashboard", "customer", 3),
        ("dashboard", "platform", 1),
        ("one_click", "customer", 1),
    ]
    assert answers.net_change_by_catalogue.rows == [
        (1, "email.news", None, -1),
        (2, "email.digest", None, -1),
        (2, "email.news", -1, -1),
    ]


def test_days_around_a_catalogue_are_as_many_as_were_asked_for(command: Command, tmp_path: Path) -> None:
    answers = answered(
        command,
        [
            opened(ADA, timestamp=day(0)),
            catalogue(1, day(0), news=True),
            chosen(ADA, 2, day(1), "news", False),
            catalogue(2, day(3), news=True),
            chosen(ADA, 3, day(5), "news", True, previous=False, catalogue_version=2),
        ],
        tmp_path / "replay",
        days=2,
    )
    assert answers.net_change_by_catalogue.rows == [(1, "email.news", None, -1), (2, "email.news", -1, None)]


def test_of_a_log_without_a_choice_nothing_is_asked(command: Command, tmp_path: Path) -> None:
    with pytest.raises(NothingThere):
        answer(tmp_path, 14)
    with pytest.raises(NothingThere):
        answered(command, [catalogue(1, day(0), news=True)], tmp_path / "replay")


def test_one_command_replays_answers_and_draws(command: Command, tmp_path: Path) -> None:
    url = command.settings["database_url"]
    put(
        url,
        [catalogue(1, day(0), news=True), opened(ADA, timestamp=day(1)), chosen(ADA, 2, day(1), "news", False)],
    )
    folder, chart = tmp_path / "analytics", tmp_path / "chart.svg"
    arguments = ["--folder", folder, "--chart", chart]
    once = run(*arguments, database_url=url)
    assert "2026-01-05 email.news 1" in words(once)
    assert "3 events" in once.stderr
    picture = chart.read_text()
    assert picture.startswith("<?xml")
    # Run again, it goes on where it was.
    put(url, [catalogue(2, day(2), news=True)])
    again = run(*arguments, database_url=url)
    assert "1 event, up to position 4" in again.stderr
    assert "2 email.news -1" in words(again)


def test_where_there_is_nothing_yet_a_log_is_made_up(folder: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    made_up = run("--folder", folder, "--chart", chart, data_dir=folder / "empty")
    assert "nobody has changed anything" in made_up.stderr
    assert "email.product_updates" in made_up.stdout
    assert chart.exists()


def words(result: subprocess.CompletedProcess[str]) -> str:
    return " ".join(result.stdout.split())


def run(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.analytics", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, env=environment(**settings), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result
