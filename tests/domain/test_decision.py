"""Whether somebody may be written to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE, Toggle, path
from domain.decision import Reason, decide, decisions


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("choice", [True, False])
def test_a_recorded_choice_decides_whatever_the_default_is(default: bool, choice: bool) -> None:
    assert decide(Toggle("news", default), choice) == (choice, Reason.CHOICE)


@pytest.mark.parametrize("default", [True, False])
def test_without_a_choice_the_default_decides(default: bool) -> None:
    assert decide(Toggle("news", default), None) == (default, Reason.DEFAULT)


@pytest.mark.parametrize("choice", [True, False, None])
def test_what_is_mandatory_is_sent_also_to_who_chose_otherwise_before_it_was(choice: bool | None) -> None:
    assert decide(Toggle("alerts", False, mandatory=True), choice) == (True, Reason.MANDATORY)


@pytest.mark.parametrize(
    "toggle", [Toggle("news", True), Toggle("tips", False), Toggle("alerts", True, mandatory=True)]
)
def test_the_decisions_of_many_are_the_decisions_of_each(toggle: Toggle) -> None:
    assert decisions(toggle) == {choice: decide(toggle, choice) for choice in (True, False, None)}


@given(st.dictionaries(st.sampled_from([*CATALOGUE.defaults, "email.security_alerts", "email.gone"]), st.booleans()))
def test_what_is_decided_is_what_the_user_is_told(choices: dict[str, bool]) -> None:
    told = CATALOGUE.resolve(choices)
    for channel in CATALOGUE.channels:
        for toggle in channel.visible:
            decision = decide(toggle, choices.get(path(channel.name, toggle.name)))
            assert decision.allowed is told[channel.name][toggle.name]
