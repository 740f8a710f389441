import pytest

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle, Words
from domain.change import requested_choices

IN_APP = Channel("in_app", (Toggle("mentions", default=True), Toggle("reminders", default=False)))
WITH_IN_APP = Catalogue(CATALOGUE.version + 1, (*CATALOGUE.channels, IN_APP))


def test_defaults_are_those_of_the_contract() -> None:
    assert CATALOGUE.resolve({}) == {
        "email": {
            "product_updates": True,
            "delivery_alerts": True,
            "billing_receipts": True,
            "weekly_usage_digest": False,
        }
    }


def test_a_choice_wins_over_the_default() -> None:
    assert CATALOGUE.resolve({"email.product_updates": False})["email"]["product_updates"] is False


def test_a_mandatory_toggle_is_never_shown_whatever_was_recorded() -> None:
    assert "security_alerts" not in CATALOGUE.resolve({"email.security_alerts": False})["email"]


def test_a_channel_in_which_nothing_can_be_chosen_changes_nobodys_answer() -> None:
    sms = Channel("sms", (Toggle("security_alerts", default=True, mandatory=True),))
    with_sms = Catalogue(CATALOGUE.version + 1, (*CATALOGUE.channels, sms))
    for choices in ({}, {"email.product_updates": False}, {"sms.security_alerts": False}):
        assert with_sms.resolve(choices) == CATALOGUE.resolve(choices)


def test_a_choice_whose_toggle_has_left_the_catalogue_is_shown_nowhere() -> None:
    assert CATALOGUE.resolve({"email.fax": True}) == CATALOGUE.resolve({})


def test_a_changed_default_changes_the_answer_for_those_who_never_chose_and_for_nobody_else() -> None:
    before = Catalogue(1, (Channel("email", (Toggle("news", default=True),)),))
    after = Catalogue(2, (Channel("email", (Toggle("news", default=False),)),))
    never_chose, chose_the_old_default = {}, {"email.news": True}
    assert (before.resolve(never_chose), after.resolve(never_chose)) == (
        {"email": {"news": True}},
        {"email": {"news": False}},
    )
    assert before.resolve(chose_the_old_default) == after.resolve(chose_the_old_default) == {"email": {"news": True}}


def test_a_new_channel_is_an_edit_of_the_catalogue_alone() -> None:
    """It is shown, it can be changed, and its faults are told, without a word about it anywhere else."""
    assert WITH_IN_APP.resolve({"in_app.reminders": True})["in_app"] == {"mentions": True, "reminders": True}
    assert requested_choices({"in_app": {"mentions": False}}, WITH_IN_APP) == {"in_app.mentions": False}


@pytest.mark.parametrize(
    ("name", "title"), [("product_updates", "Product updates"), ("news", "News"), ("in_app", "In app"), ("", "")]
)
def test_without_words_the_name_is_made_readable(name: str, title: str) -> None:
    for one in (Toggle(name, default=True), Channel(name, ())):
        assert (one.title, one.description) == (title, "")


def test_words_are_said_as_they_are_written() -> None:
    words = Words("News", "What is new.")
    for one in (Toggle("product_updates", default=True, words=words), Channel("email", (), words)):
        assert (one.title, one.description) == words


def test_everything_in_the_products_catalogue_has_words() -> None:
    entries = [*CATALOGUE.channels, *(toggle for channel in CATALOGUE.channels for toggle in channel.toggles)]
    for entry in entries:
        assert entry.words is not None, f"{entry.name} has no words for people"
        assert 0 < len(entry.title) <= 60
        assert entry.description.endswith(".")
        assert len(entry.description) <= 300
        assert (entry.title + entry.description).isprintable()
    for channel in CATALOGUE.channels:
        titles = [toggle.title for toggle in channel.toggles]
        assert len(set(titles)) == len(titles)


def test_a_mandatory_toggle_says_why_it_can_not_be_switched_off() -> None:
    for channel in CATALOGUE.channels:
        for toggle in channel.toggles:
            assert not toggle.mandatory or "can't be switched off, because" in toggle.description
