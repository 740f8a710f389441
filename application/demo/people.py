"""The users of a made-up year, and their organizations."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

MAIN: Final = "org_demo"
"""The organization that the sign-in form of development mode proposes. It has the most users."""
IMPORTER: Final = "org_harbour"
"""The organization that brought its users' choices along from another provider."""

ORGANIZATIONS: Final = {
    MAIN: 36,
    IMPORTER: 20,
    "org_lindgren": 14,
    "org_meadow": 11,
    "org_nordlicht": 8,
    "org_orchard": 6,
    "org_paperboat": 4,
    "org_quill": 1,
}
"""How many of a hundred users each has."""

_NAMES: Final = (
    *("ada", "amir", "anna", "ben", "carla", "chen", "diego", "dora", "edith", "emil", "fatima"),
    *("finn", "greta", "hugo", "ines", "ivan", "jonas", "julia", "kaito", "kira", "lena"),
    *("luca", "maria", "milo", "nadia", "noah", "olga", "omar", "paula", "piotr", "rosa"),
    *("ruben", "sara", "sven", "tara", "theo", "uma", "viktor", "wanda", "yusuf", "zoe"),
)


class Person(NamedTuple):
    organization: str
    name: str


def people(chance: Random, count: int) -> Iterator[Person]:
    """The first one is the user that the sign-in form proposes."""
    yield Person(MAIN, "user_demo")
    organizations = chance.choices([*ORGANIZATIONS], [*ORGANIZATIONS.values()], k=count - 1)
    for number, organization in enumerate(organizations):
        yield Person(organization, f"user_{_NAMES[number % len(_NAMES)]}_{number // len(_NAMES) + 1}")
