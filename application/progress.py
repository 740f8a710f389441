"""How a long run reports its progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done, and about how much there is in all."""
