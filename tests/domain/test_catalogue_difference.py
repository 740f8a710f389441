"""What one catalogue changes about another, and for whom."""

import pytest

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle, Words
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


def worded(channel: Words | None, toggle: Words | None, default: bool = True, name: str = "email") -> Catalogue:
    return Catalogue(1, (Channel(name, (Toggle("a", default, words=toggle),), channel),))


MAIL, POST = Words("E-mail", "To your address."), Words("Post", "To your address.")
NEWS, MORE = Words("News", "What is new."), Words("News", "What is new, and more.")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (worded(None, None), worded(MAIL, None), [("email", 'words added: "E-mail" (To your address.)')]),
        (worded(None, None), worded(None, NEWS), [("email.a", 'words added: "News" (What is new.)')]),
        (worded(MAIL, NEWS), worded(None, NEWS), [("email", "words removed")]),
        (worded(MAIL, NEWS), worded(POST, NEWS), [("email", 'title "E-mail" -> "Post"')]),
        (
            worded(MAIL, NEWS),
            worded(MAIL, MORE),
            [("email.a", 'description "What is new." -> "What is new, and more."')],
        ),
        (
            worded(MAIL, NEWS),
            worded(MAIL, Words("Offers", "What is cheap.")),
            [("email.a", 'title "News" -> "Offers"; description "What is new." -> "What is cheap."')],
        ),
        (
            worded(MAIL, NEWS),
            worded(MAIL, MORE, default=False),
            [("email.a", 'default on -> default off; description "What is new." -> "What is new, and more."')],
        ),
        (
            worded(MAIL, NEWS),
            worded(MAIL, NEWS, name="post"),
            [
                ("post", 'added: "E-mail" (To your address.)'),
                ("post.a", 'added: default on, "News" (What is new.)'),
                ("email", "removed"),
                ("email.a", "removed"),
            ],
        ),
    ],
)
def test_changed_words_are_told(before: Catalogue, after: Catalogue, told: list[tuple[str, str]]) -> None:
    assert [(alteration.path, str(alteration)) for alteration in alterations(before, after)] == told


def test_other_words_change_nobodys_answer() -> None:
    for before, after in ((worded(None, None), worded(MAIL, NEWS)), (worded(MAIL, NEWS), worded(POST, MORE))):
        told = alterations(before, after)
        assert len(told) == 2
        assert not any(alteration.default_changed or alteration.answer_reshaped for alteration in told)
        assert before.resolve({}) == after.resolve({})
