"""Which parts of the benchmark to run."""

from fnmatch import fnmatchcase


class Selection:
    """Everything, or what a pattern names: `stored`, `loads`, `loads.crud`, `loads.*.patch.32`."""

    def __init__(self, pattern: str | None) -> None:
        self.pattern = pattern

    @property
    def everything(self) -> bool:
        return self.pattern is None

    def has(self, name: str) -> bool:
        return self.pattern is None or fnmatchcase(name, self.pattern) or fnmatchcase(name, f"{self.pattern}.*")
