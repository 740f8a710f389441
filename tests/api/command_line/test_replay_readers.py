"""A replay into Parquet, read as docs/replay.md says with what analysts use: DuckDB, polars and pandas."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import duckdb
import pyarrow.parquet
import pytest

from domain.preferences import stream_id
from infrastructure.replays.columns import SCHEMA
from tests.support.command import Command, Result, one_sentence
from tests.support.events import catalogue_published, opened, toggled
from tests.support.filled_log import put

PAGE = Path(__file__).parents[3] / "docs" / "replay.md"
ADA = stream_id("org_math", "user_ada")
SUNDAY = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
MONDAY = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
LOG = [
    catalogue_published(1, timestamp=SUNDAY),
    opened(ADA, timestamp=SUNDAY),
    toggled(2, "product_updates", False, ADA, timestamp=SUNDAY),
    toggled(3, "product_updates", True, ADA, previous=False, timestamp=MONDAY),
    toggled(4, "billing_receipts", False, ADA, timestamp=MONDAY),
    toggled(5, "product_updates", False, ADA, previous=True, timestamp=MONDAY),
]
OPT_OUTS = {"product_updates": 2, "billing_receipts": 1}


Replay = Callable[..., Path]


def pandas() -> ModuleType:
    """Imported late, like polars: each test process collects this file, and few run it."""
    return import_module("pandas")


def polars() -> ModuleType:
    return import_module("polars")


@pytest.fixture
def command(folder: Path, database_url: str, monkeypatch, capsys) -> Callable[[Path], Result]:
    command = Command(folder / "data", database_url)
    return lambda into: command.inside(monkeypatch, capsys, "replay", "--to", "parquet", "--output", str(into))


@pytest.fixture
def replay(folder: Path, database_url: str, command: Callable[[Path], Result]) -> Replay:
    """Replays a log of these events, and of those that it has had before."""

    def run(*events: Any) -> Path:
        put(database_url, events)
        done = command(folder / "events")
        assert done.returncode == 0, done.stderr
        return folder / "events"

    return run


@pytest.fixture(scope="module")
def replayed(new_database: Callable[[], str]) -> Iterator[Callable[..., Path]]:
    """Folders that are only read: of a log with these events."""
    with TemporaryDirectory() as name:
        made: dict[int, Path] = {}

        def run(*events: Any) -> Path:
            if len(events) not in made:
                made[len(events)] = Path(name) / str(len(events)) / "events"
                put(url := new_database(), events)
                arguments = ("--to", "parquet", "--output", str(made[len(events)]))
                assert Command(Path(name), url)("replay", *arguments).returncode == 0
            return made[len(events)]

        yield run


def box(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]


def by_duckdb(events: Path, zone: str = "UTC") -> list[Any]:
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        return connection.sql(box("sql").replace("'events/", f"'{events}/")).fetchall()


def by_python(number: int) -> Callable[[Path], dict[str, int]]:
    """As a program of its own, from the folder that the replay is in."""

    def run(events: Path) -> dict[str, int]:
        counted = {0: "dict(opt_outs)", 1: "dict(opt_outs.iter_rows())"}[number]
        shown = f"import json, sys; json.dump({{str(k): int(v) for k, v in {counted}.items() if v}}, sys.stdout)"
        program = f"{box('python', number)}\n{shown}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], cwd=events.parent, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def counted_by_duckdb(events: Path) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for toggle, _, number in by_duckdb(events):
        counts[toggle] += number
    return dict(counts)


READERS = pytest.mark.parametrize(
    "read", [counted_by_duckdb, by_python(0), by_python(1)], ids=["duckdb", "pandas", "polars"]
)


@READERS
def test_the_examples_of_the_page_count_the_same_opt_outs(read: Callable[[Path], Any], replayed: Replay) -> None:
    assert read(replayed(*LOG)) == OPT_OUTS


@READERS
def test_a_replay_without_an_event_is_read_as_a_table_without_a_row(
    read: Callable[[Path], Any], replayed: Replay
) -> None:
    assert read(replayed()) == {}


def test_an_empty_replay_has_every_column(replayed: Replay) -> None:
    events = replayed()
    names = [*SCHEMA.names, "date"]
    assert pandas().read_parquet(events).columns.tolist() == names
    assert polars().read_parquet(events).columns == names
    assert duckdb.sql(f"FROM read_parquet('{events}/**/*.parquet')").columns == names


def test_a_boolean_that_may_be_null_is_one_for_pandas(replayed: Replay) -> None:
    events = pandas().read_parquet(replayed(*LOG))
    assert (str(events.enabled.dtype), str(events.previous.dtype)) == ("boolean", "boolean")
    assert events[~events.enabled].position.tolist() == [3, 5, 6]
    assert events.enabled.isna().sum() == 2


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Auckland"])
def test_the_weeks_of_the_page_are_those_of_utc_whatever_the_zone_of_the_session(zone: str, replayed: Replay) -> None:
    weeks = [(str(week), toggle, count) for toggle, week, count in by_duckdb(replayed(*LOG), zone)]
    assert weeks == [
        ("2026-02-23", "product_updates", 1),
        ("2026-03-02", "billing_receipts", 1),
        ("2026-03-02", "product_updates", 1),
    ]


@READERS
def test_a_folder_whose_older_files_lack_a_column_is_read_as_well(read: Callable[[Path], Any], replay: Replay) -> None:
    # Given a folder that a release without the last column began
    events = replay(*LOG[:4])
    for path in events.glob("date=2026-*/*.parquet"):
        table = pyarrow.parquet.ParquetFile(path).read()
        pyarrow.parquet.write_table(table.drop_columns([SCHEMA.names[-1]]), path)
    # when this release goes on
    replay(*LOG[4:])
    # then
    assert read(events) == OPT_OUTS


def test_a_folder_that_an_earlier_release_began_is_gone_on_with(replay: Replay, command) -> None:
    # Given a folder as earlier releases left it: what was asked for is in `_replay.json`
    events = replay(*LOG[:4])
    as_before_manifests(events, position=4)
    # when
    replay(*LOG[4:])
    # then nothing is there twice, nothing is missing, and nothing but Parquet is left
    assert sorted(polars().read_parquet(events)["position"].to_list()) == [1, 2, 3, 4, 5, 6]
    assert not (events / "_replay.json").exists()
    # and one that asked for something else is still refused
    as_before_manifests(events, position=6, organization="org_chess")
    refused = one_sentence(command(events))
    assert "another replay began here" in refused
    assert "org_chess" in refused


def as_before_manifests(events: Path, position: int, organization: str | None = None) -> None:
    asked = {"after": 0, "type": None, "channel": None, "toggle": None, "organization": organization}
    (events / "_replay.json").write_text(json.dumps({"asked_for": asked, "position": position}))
    for path in (events / "date=1970-01-01").iterdir():
        path.unlink()
    (events / "date=1970-01-01").rmdir()


def test_a_replay_that_was_killed_before_it_had_a_manifest_can_be_run_again(replay: Replay, folder: Path) -> None:
    left = folder / "events" / "date=1970-01-01" / ".replay.parquet.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PAR1")
    assert by_python(1)(replay(*LOG)) == OPT_OUTS


def test_a_manifest_that_is_none_is_refused(replay: Replay, command) -> None:
    events = replay(*LOG)
    manifest = events / "date=1970-01-01" / "replay.parquet"
    for content in (b"not Parquet", b""):
        manifest.write_bytes(content)
        said = one_sentence(command(events))
        assert said.endswith("replay.parquet is not what a replay has left there")


def test_days_around_a_catalogue_have_24_hours_whatever_the_zone_of_the_session(replay: Replay) -> None:
    # Given a change 13 days and 23.5 hours before a catalogue, between which clocks in Los Angeles went forward
    at = datetime(2026, 3, 15, 12, tzinfo=UTC)
    defaults = [{"name": name, "default": True, "mandatory": False} for name in ("product_updates", "delivery_alerts")]
    channels = [{"name": "email", "toggles": defaults}]
    events = replay(
        catalogue_published(1, channels=channels, timestamp=at - timedelta(days=40)),
        opened(ADA, timestamp=at - timedelta(days=20)),
        toggled(2, "product_updates", False, ADA, timestamp=at - timedelta(days=14) + timedelta(minutes=30)),
        toggled(3, "delivery_alerts", False, ADA, timestamp=at - timedelta(days=14) - timedelta(minutes=30)),
        catalogue_published(2, channels=channels, timestamp=at),
    )
    answers = set()
    for zone in ("UTC", "America/Los_Angeles", "Europe/London"):
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = '{zone}'")
            queries = Path(__file__).parents[3] / "examples" / "analytics" / "queries"
            connection.from_parquet(f"{events}/**/*.parquet", union_by_name=True).create_view("events")
            connection.execute((queries / "changes.sql").read_text())
            found = connection.execute((queries / "net_change_by_catalogue.sql").read_text(), {"days": 14}).fetchall()
            answers.add(tuple(found))
    assert len(answers) == 1
    assert [row[:3] for row in answers.pop() if row[0] == 2] == [(2, "email.product_updates", -1)]
