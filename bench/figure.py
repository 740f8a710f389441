"""A measured value that a goal can be held against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`name` is what the goal knows it by. `detail` says in a few words what the value was made of."""

    name: str
    value: float
    detail: str
