"""What one catalogue changes about another, and for whom."""

import pytest

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle
from domain.catalogue_difference import alterations
from tests.support.catalogues import catalogue

BEFORE = catalogue(1, kept=True, flipped=True, removed=False, bound=True, freed=None)
AFTER = catalogue(2, added=False, kept=True, flipped=False, bound=None, freed=True, imposed=None)


def test_each_altered_toggle_is_told_and_no_other() -> None:
    assert [(alteration.path, str(alteration)) for alteration in alterations(BEFORE, AFTER)] == [
        ("email.added", "added: default off"),
        ("email.flipped", "default on -> default off"),
        ("email.bound", "default on -> always sent"),
        ("email.freed", "always sent -> default on"),
        ("email.imposed", "added: always sent"),
        ("email.removed", "removed"),
    ]


def test_whose_answer_changes_depends_on_what_is_altered() -> None:
    found = {a.path.partition(".")[2]: (a.default_changed, a.answer_reshaped) for a in alterations(BEFORE, AFTER)}
    assert found == {
        "flipped": (True, False),
        **dict.fromkeys(("added", "removed", "bound", "freed"), (False, True)),
        "imposed": (False, False),
    }


def test_the_answer_agrees_with_what_is_told() -> None:
    """Where an answer is said to stay as it is, it does."""
    for before, after, choices, differs in (
        (catalogue(1, a=True), catalogue(2, a=False), {}, True),
        (catalogue(1, a=True), catalogue(2, a=False), {"email.a": True}, False),
        (catalogue(1, a=True), catalogue(2, a=True, b=None), {}, False),
        (catalogue(1, a=True), catalogue(2, a=True, b=True), {"email.a": True}, True),
        (catalogue(1, a=None), catalogue(2), {}, False),
    ):
        told = alterations(before, after)
        told_to_differ = any(a.answer_reshaped or (a.default_changed and a.path not in choices) for a in told)
        assert told_to_differ is (before.resolve(choices) != after.resolve(choices)) is differs


def test_nothing_is_altered_between_a_catalogue_and_itself() -> None:
    assert alterations(CATALOGUE, CATALOGUE) == []


def test_everything_is_new_in_the_first_one() -> None:
    assert [str(alteration) for alteration in alterations(None, catalogue(1, a=True, b=None))] == [
        "added: default on",
        "added: always sent",
    ]


@pytest.mark.parametrize("name", ["email", "in_app"])
def test_toggles_of_the_same_name_are_told_apart_by_channel(name: str) -> None:
    before = Catalogue(1, (Channel("email", (Toggle("a", True),)), Channel("in_app", (Toggle("a", True),))))
    after = Catalogue(2, tuple(Channel(c.name, (Toggle("a", c.name != name),)) for c in before.channels))
    assert [alteration.path for alteration in alterations(before, after)] == [f"{name}.a"]
