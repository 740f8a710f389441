"""What a decision rested on, found in the log."""

import pytest

from domain.catalogue import Catalogue, Channel, Toggle, Words
from domain.continued_log import Continuation
from domain.decision import Reason
from projections.explained_decision import (
    At,
    CannotExplain,
    DecisionBasis,
    ExplainedDecision,
    contradictions,
    explain,
    moment,
)
from tests.support.catalogues import catalogue, published
from tests.support.events import NOON, catalogue_published, erased, opened, toggled

OFF = toggled(2, "news", False)
ON = toggled(4, "news", True, previous=False)
EVIDENCE = DecisionBasis(
    end=60,
    events=[At(10, opened()), At(11, OFF), At(20, toggled(3, "tips", True)), At(40, ON)],
    catalogues=[
        At(5, published(catalogue(1, news=True, tips=False, alerts=None))),
        At(30, published(catalogue(2, news=False, tips=False, alerts=None, offers=True))),
    ],
)


def at(position: int, toggle: str = "news") -> ExplainedDecision:
    return explain(EVIDENCE, "email", toggle, position)


@pytest.mark.parametrize(
    ("position", "allowed", "version", "last", "catalogue_version"),
    [(0, True, 0, None, 1), (9, True, 0, None, 1), (10, True, 1, 10, 1), (25, False, 3, 20, 1), (45, True, 4, 40, 2)],
)
def test_a_decision_is_what_the_log_had_by_then(position, allowed, version, last, catalogue_version) -> None:
    explained = at(position)
    assert (explained.decision.allowed, explained.version, explained.last) == (allowed, version, last)
    assert explained.catalogue.event.catalogue_version == catalogue_version
    assert explained.position == position


def test_a_choice_is_explained_by_the_event_that_recorded_it() -> None:
    for position in (11, 20, 39):
        assert at(position).decided_by == At(11, OFF)
    assert at(40).decided_by == At(40, ON)
    assert at(40).decision.reason is Reason.CHOICE


def test_a_default_is_explained_by_the_catalogue_that_had_it() -> None:
    assert at(10).decision == (True, Reason.DEFAULT)
    assert at(10).decided_by == EVIDENCE.catalogues[0]
    assert at(30, "offers").decision == (True, Reason.DEFAULT)
    assert at(30, "offers").decided_by == EVIDENCE.catalogues[1]


def test_while_a_release_is_rolled_out_a_decision_can_rest_on_the_catalogue_before() -> None:
    explained = explain(EVIDENCE, "email", "tips", 35, 1)
    assert (explained.decision.reason, explained.decided_by) == (Reason.CHOICE, EVIDENCE.events[2])
    explained = explain(EVIDENCE, "email", "offers", 30, 2)
    assert (explained.decision, explained.decided_by) == ((True, Reason.DEFAULT), EVIDENCE.catalogues[1])
    explained = explain(EVIDENCE, "email", "alerts", 35, 1)
    assert explained.decided_by == explained.catalogue == EVIDENCE.catalogues[0]
    assert explained.in_force == EVIDENCE.catalogues[1]
    assert contradictions(explained, allowed=True, reason=Reason.MANDATORY, version=3) == []
    with pytest.raises(CannotExplain, match="catalogue version 3 was never published"):
        explain(EVIDENCE, "email", "news", 9, 3)


@pytest.mark.parametrize("position", [0, 9, 29])
def test_no_decision_can_rest_on_a_catalogue_that_was_published_later(position: int) -> None:
    explained = explain(EVIDENCE, "email", "offers", position, 2)
    assert explained.decision == (True, Reason.DEFAULT)
    assert contradictions(explained, allowed=True, reason=Reason.DEFAULT) == [
        "catalogue version 2 was not published yet, version 1 was in force"
    ]
    assert contradictions(explain(EVIDENCE, "email", "offers", 30, 2), allowed=True) == []


def test_the_first_catalogue_held_before_it_was_published() -> None:
    assert contradictions(explain(EVIDENCE, "email", "news", 4, 1), allowed=True, reason=Reason.DEFAULT) == []


def test_what_is_mandatory_is_explained_by_the_catalogue_that_says_so() -> None:
    assert at(20, "alerts").decision == (True, Reason.MANDATORY)
    assert at(20, "alerts").decided_by == EVIDENCE.catalogues[0]


def test_a_choice_stays_in_force_after_its_person_was_erased() -> None:
    evidence = DecisionBasis(50, [*EVIDENCE.events[:2], At(50, erased(3))], EVIDENCE.catalogues)
    explained = explain(evidence, "email", "news", 50)
    assert (explained.decision, explained.decided_by) == ((False, Reason.CHOICE), At(11, OFF))
    assert (explained.version, explained.last) == (3, 50)


@pytest.mark.parametrize(("channel", "toggle"), [("email", "offers"), ("sms", "news")])
def test_what_the_catalogue_of_the_time_did_not_know_was_never_decided(channel: str, toggle: str) -> None:
    with pytest.raises(CannotExplain, match=f"catalogue version 1 has no {channel}.{toggle}"):
        explain(EVIDENCE, channel, toggle, 29)


def test_a_stream_with_a_gap_explains_nothing() -> None:
    evidence = DecisionBasis(60, [EVIDENCE.events[0], *EVIDENCE.events[2:]], EVIDENCE.catalogues)
    assert explain(evidence, "email", "news", 10).version == 1
    with pytest.raises(CannotExplain, match="has no version 2"):
        explain(evidence, "email", "news", 60)


def test_without_a_published_catalogue_nothing_can_be_explained() -> None:
    with pytest.raises(CannotExplain, match="no catalogue is published"):
        explain(DecisionBasis(0, [], []), "email", "news", 0)


def test_the_moment_is_the_position_given_or_the_end_of_the_log() -> None:
    assert moment(EVIDENCE, position=17, version=None) == 17
    assert moment(EVIDENCE, position=17, version=99) == 17
    assert moment(EVIDENCE, position=None, version=None) == 60
    with pytest.raises(CannotExplain, match="the log ends at position 60"):
        moment(EVIDENCE, position=61, version=None)


@pytest.mark.parametrize(("version", "position"), [(0, 9), (1, 10), (2, 19), (3, 39), (4, 60)])
def test_a_version_alone_means_the_last_moment_at_which_the_stream_stood_there(version: int, position: int) -> None:
    assert moment(EVIDENCE, position=None, version=version) == position
    assert at(position).version == version


def test_a_version_that_was_never_reached_is_no_moment() -> None:
    with pytest.raises(CannotExplain, match="ends at version 4"):
        moment(EVIDENCE, position=None, version=5)


def test_a_claim_that_is_true_or_not_made_is_not_contradicted() -> None:
    assert contradictions(at(25)) == []
    assert contradictions(at(25), allowed=False, reason=Reason.CHOICE, version=3) == []


def test_each_untrue_part_of_a_claim_is_named() -> None:
    assert contradictions(at(25), allowed=True, reason=Reason.DEFAULT, version=2) == [
        "it was not allowed",
        "the reason was choice, not default",
        "the user's stream stood at version 3, not 2",
    ]
    assert contradictions(at(45), allowed=False) == ["it was allowed"]


def test_the_words_are_those_that_were_shown_with_the_choice_or_else_those_of_the_catalogue_that_was_applied() -> None:
    # Given a choice before there were words, one under the first words, and other words since
    def worded(version: int, description: str) -> Catalogue:
        toggles = (Toggle("news", True, words=Words("News", description)), Toggle("tips", True))
        return Catalogue(version, (Channel("email", toggles),))

    evidence = DecisionBasis(
        end=60,
        events=[At(10, opened()), At(11, OFF), At(35, toggled(3, "news", True, previous=False, catalogue_version=2))],
        catalogues=[
            EVIDENCE.catalogues[0],
            At(30, published(worded(2, "Once a month."))),
            At(40, published(worded(3, "Once a week."))),
        ],
    )
    # then each decision is told in the words of its time.
    for position, catalogue_version, words in (
        (10, None, None),
        (11, None, None),
        (34, None, None),
        (35, None, Words("News", "Once a month.")),
        (60, None, Words("News", "Once a month.")),
    ):
        assert explain(evidence, "email", "news", position, catalogue_version).words == words
    without_choice = DecisionBasis(60, [], evidence.catalogues)
    for position, catalogue_version, words in (
        (29, None, None),
        (30, None, Words("News", "Once a month.")),
        (40, None, Words("News", "Once a week.")),
        (40, 2, Words("News", "Once a month.")),
    ):
        assert explain(without_choice, "email", "news", position, catalogue_version).words == words
    assert explain(without_choice, "email", "tips", 60).words is None


# A log that was continued on another server


def continued_evidence() -> DecisionBasis:
    """Four events, of which the last one is behind a continuation; what stood from position 5 on until then is lost."""
    events = [
        At(2, opened()),
        At(3, toggled(2, "news", False)),
        At(10**15 + 1, toggled(3, "news", True, previous=False)),
    ]
    return DecisionBasis(10**15 + 1, events, [At(1, catalogue_published())], [Continuation(4, 10**15, NOON)])


def test_a_receipt_of_lost_events_is_told_to_be_just_that() -> None:
    # Given a receipt of a position whose events were lost, among them one of this user
    explained = explain(continued_evidence(), "email", "news", 700)
    assert explained.lost == Continuation(4, 10**15, NOON)
    # then it can't be verified, and isn't called wrong.
    [phrase] = contradictions(explained, allowed=True, reason=Reason.CHOICE, version=3)
    assert phrase == (
        "it can't be verified: the events after position 4 were lost in a failover, before the log was continued at position "
        "1000000000000000 on 2026-03-03 at 12:00:00 UTC"
    )
    # Without a version nobody can say whether events of this user were among the lost ones.
    assert contradictions(explained, allowed=False) == [phrase]


def test_a_receipt_whose_user_has_lost_nothing_is_verified_with_what_is_left() -> None:
    explained = explain(continued_evidence(), "email", "news", 700)
    assert contradictions(explained, allowed=False, reason=Reason.CHOICE, version=2) == []
    assert contradictions(explained, allowed=True, version=2) == ["it was not allowed"]


@pytest.mark.parametrize("position", [4, 10**15, 10**15 + 1])
def test_a_receipt_from_before_or_behind_has_lost_nothing(position: int) -> None:
    assert explain(continued_evidence(), "email", "news", position).lost is None
