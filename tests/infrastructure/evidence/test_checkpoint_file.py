"""The file that checkpoints are appended to."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from application.evidence.checkpoints import ReadProgress
from infrastructure.evidence.checkpoint_file import CheckpointFile

ONE = "example.com\n1\nroot\n\n— example.com c2ln\n"
TWO = "example.com\n2\nroot\n\n— example.com c2ln\n— witness c2ln\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "checkpoints"


@pytest.fixture
def file(path: Path) -> CheckpointFile:
    return CheckpointFile(path)


def notes(file: CheckpointFile) -> list[str]:
    with file.as_of_now() as found:
        return [] if found is None else [kept.note for kept in found.notes(ReadProgress())]


def test_a_file_that_is_not_there_holds_none(file: CheckpointFile) -> None:
    assert file.last() is None
    assert notes(file) == []
    with pytest.raises(FileNotFoundError), file.as_of_now(required=True):
        pass


def test_what_is_appended_is_read_in_its_order(file: CheckpointFile, path: Path) -> None:
    for number in range(400):
        file.append((ONE, TWO)[number % 2], after=file.last())
    assert notes(file) == [ONE, TWO] * 200
    kept = file.last()
    assert kept is not None
    assert (kept.place, kept.note) == (str(path), TWO)


def test_what_a_crash_left_unfinished_goes_and_nothing_else(file: CheckpointFile, path: Path) -> None:
    for length in range(1, len(TWO.encode()) + 1):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"{ONE}\n".encode() + TWO.encode()[:length])
        last = file.last()
        assert last is not None
        assert last.note == ONE
        file.append(TWO, after=file.last())
        assert notes(file) == [ONE, TWO]


def test_a_crash_in_the_very_first_one_is_no_obstacle(file: CheckpointFile, path: Path) -> None:
    for length in range(len(ONE.encode()) + 1):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(ONE.encode()[:length])
        file.append(TWO, after=file.last())
        assert notes(file) == [TWO]


def test_what_is_unfinished_is_shown_to_whoever_verifies(file: CheckpointFile, path: Path) -> None:
    file.append(ONE, after=file.last())
    with path.open("a") as unfinished:
        unfinished.write("example.com\n3\n")
    assert notes(file) == [ONE, "example.com\n3\n"]


def test_what_is_written_while_it_is_read_is_not_read(file: CheckpointFile) -> None:
    file.append(ONE, after=file.last())
    with file.as_of_now() as found:
        file.append(TWO, after=file.last())
        assert found is not None
        assert [kept.note for kept in found.notes(ReadProgress())] == [ONE]


@pytest.mark.parametrize("text", ["somebody's diary", "example.org\n1\nroot\n", "example.com is ours"])
def test_any_other_file_is_left_alone(file: CheckpointFile, path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(OSError, match="is not a file of checkpoints"):
        file.append(ONE, after=file.last())
    assert path.read_text() == text


def test_what_another_process_has_appended_meanwhile_is_neither_overtaken_nor_cut_off(
    file: CheckpointFile, path: Path
) -> None:
    # Given two processes that have both seen the same last checkpoint
    file.append(ONE, after=None)
    seen = file.last()
    # when one of them appends the next one, then the other one's, which doesn't continue it, is refused.
    file.append(TWO, after=seen)
    with pytest.raises(OSError, match="another process has just appended"):
        file.append(ONE, after=seen)
    assert notes(file) == [ONE, TWO]


def test_what_another_process_left_unfinished_while_this_one_waited_goes_alone(
    file: CheckpointFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.append(ONE, after=None)

    # Given another process that dies in the middle of a note, while this one waits for its lock
    def wait(*_: object) -> None:
        with path.open("a") as other:
            other.write(TWO[:20])

    monkeypatch.setattr("fcntl.flock", wait)
    # then what it left goes, and nothing that was there before.
    file.append(TWO, after=file.last())
    assert notes(file) == [ONE, TWO]


def test_of_those_who_append_at_the_same_moment_each_continues_the_one_before(file: CheckpointFile) -> None:
    def note(number: int) -> str:
        return f"example.com\n{number}\nroot\n\n— example.com c2ln\n"

    def append(times: int) -> int:
        refused = 0
        for _ in range(times):
            last = file.last()
            number = 1 + (0 if last is None else int(last.note.split("\n")[1]))
            try:
                file.append(note(number), after=last)
            except OSError:
                refused += 1
        return refused

    with ThreadPoolExecutor(4) as pool:
        refused = sum(pool.map(append, [100] * 4))
    assert notes(file) == [note(number) for number in range(1, 401 - refused)]
