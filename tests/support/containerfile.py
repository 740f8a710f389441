"""What a Containerfile says, read as a builder reads it: stages of instructions, with arguments and variables filled in."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
IMPLEMENTED = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER"),
    "WORKDIR",
}


@dataclass
class Instruction:
    word: str
    flags: dict[str, str]
    value: str

    @property
    def words(self) -> list[str]:
        """The exec form as a list. Any other form is one that a shell would read."""
        return json.loads(self.value) if self.value.startswith("[") else shlex.split(self.value)

    @property
    def is_exec_form(self) -> bool:
        return self.value.startswith("[")

    @property
    def pairs(self) -> dict[str, str]:
        return dict(word.split("=", 1) for word in shlex.split(self.value))


@dataclass
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        return [one for one in self.instructions if one.word == word]

    def last(self, word: str) -> Instruction:
        return self.all(word)[-1]


def stages(text: str) -> list[Stage]:
    found: list[Stage] = []
    before: dict[str, str] = {}
    for one in _instructions(text):
        assert one.word in IMPLEMENTED, f"this test knows no {one.word}"
        if one.word == "FROM":
            base, *named = filled_in(one.value, before).split()
            found.append(Stage(base, named[1] if named else ""))
        elif found:
            found[-1].instructions.append(one)
        else:
            before |= one.pairs
    return found


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda found: variables.get(found[1] or found[2], ""), text)


def _instructions(text: str) -> Iterator[Instruction]:
    # A comment may stand between the lines of an instruction.
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in filter(str.strip, re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()):
        word, rest = line.split(maxsplit=1)
        flags: dict[str, Any] = {}
        while found := re.match(r"--([\w-]+)(?:=(\S+))?\s+", rest):
            flags[found[1]] = found[2] or ""
            rest = rest[found.end() :]
        yield Instruction(word, flags, rest.strip())


def context(ignored: str) -> list[Path]:
    """The files of the repository that reach the builder, relative to its root, by the rules of `.dockerignore`: the last rule that fits counts.

    A folder that is left out is not looked into: no rule here lets in a part of one.
    """
    rules = [line.strip() for line in ignored.splitlines() if line.strip() and not line.startswith("#")]
    return sorted(_kept(ROOT, [(rule.removeprefix("!").rstrip("/"), rule.startswith("!")) for rule in rules]))


def _kept(folder: Path, rules: list[tuple[str, bool]]) -> Iterator[Path]:
    for one in folder.iterdir():
        path = one.relative_to(ROOT)
        if next((kept for rule, kept in reversed(rules) if _fits(rule, path)), True):
            if one.is_dir():
                yield from _kept(one, rules)
            else:
                yield path


def _fits(rule: str, path: Path) -> bool:
    """Whether a rule names the path or a folder above it."""
    pattern = re.escape(rule).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return any(re.fullmatch(pattern, str(one)) for one in (path, *path.parents[:-1]))
