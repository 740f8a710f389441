"""What a test measured, for whoever reads its report or runs it with `-s`. Nothing is asserted by time."""

from collections.abc import Callable


def figures(record_property: Callable[[str, object], None], **values: object) -> None:
    for name, value in values.items():
        record_property(name, value)
    print(" ".join(f"{name}={value}" for name, value in values.items()))  # noqa: T201 - shown with -s
