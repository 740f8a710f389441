"""Coverage is traced in some tests only. Tracing all of them would cost a third of their time, whatever they call."""

import importlib
import pkgutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOMS = ("domain", "projections", "application")
"""These packages must have 100 % branch coverage."""

MEASURED = (
    *ROOMS,
    "infrastructure/evidence",
    "infrastructure/identity/test_malformed_tokens",
    "api/command_line/test_verify",
    "api/http/test_rate_limit",
    "end_to_end/test_tampering",
)
"""Only tests in these folders and files are traced. Together they reach that coverage."""

TESTS = Path(__file__).parents[1]


class Measurement:
    """Pauses pytest-cov, if it measures, and resumes it for the tests in `MEASURED`."""

    def __init__(self, config: pytest.Config) -> None:
        plugin: Any = config.pluginmanager.getplugin("_cov")
        self._controller: Any = None if plugin is None or plugin._disabled else plugin.cov_controller
        self._caches: list[Any] = []
        if self._controller is not None:
            # What stands at the first level of a module runs only when it is imported.
            for room in map(importlib.import_module, ROOMS):
                for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
                    module = importlib.import_module(found.name)
                    self._caches += [value for value in vars(module).values() if hasattr(value, "cache_clear")]
            self._controller.pause()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        # A result that another test left behind would hide the lines that it comes from.
        for cache in self._caches:
            cache.cache_clear()
        self._controller.resume()
        try:
            yield
        finally:
            self._controller.pause()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._controller is None or not item.path.relative_to(TESTS).as_posix().startswith(MEASURED):
            return (yield)
        with self._going_on():
            return (yield)
