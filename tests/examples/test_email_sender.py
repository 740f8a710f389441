"""The example of an e-mail sender: what it decides, and what it decides from."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.preferences import stream_id
from examples.email_sender.decision import Decision, Reason, decide
from examples.email_sender.handed_on import ERASED, HandedOn, understand
from examples.email_sender.pseudonym import pseudonym
from examples.email_sender.replica import BeginAnew, Place, Replica, Unusable
from projections.nats_messages import message
from tests.support.events import ADA, BOB, catalogue_published, continued, erased, opened, toggled

README = Path(__file__).parents[2] / "examples/email_sender/README.md"

NOW, BOUND = 1_000_000.0, 10.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "replica.sqlite"


@pytest.fixture
def replica(file: Path):
    with Replica.write(file) as replica:
        yield replica


def handed_on(*events) -> list[HandedOn]:
    """These events, as the relay hands them on from the beginning."""
    messages = [message(position, event) for position, event in enumerate(events, 1)]
    return [
        understand(sequence, headers, orjson.dumps(data)) for sequence, (_, headers, data) in enumerate(messages, 1)
    ]


def decided(replica: Replica, user: str, toggle: str = "news", organization: str | None = "org_math") -> Decision:
    return decide(replica, organization, user, "email", toggle, now=NOW, bound=BOUND)


@given(st.none() | st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_anybody_can_compute_under_which_key_a_user_is_handed_on(organization: str | None, user: str) -> None:
    assert pseudonym(organization, user) == str(stream_id(organization, user))


def test_the_documented_keys_are_those() -> None:
    """So that somebody who writes this in another language can tell whether it is right."""
    page = README.read_text()
    for organization, user in [("org_math", "user_ada"), (None, "user_bob"), ("org_zürich", "user_🙂")]:
        array = json.dumps([organization, user], separators=(",", ":"))
        assert f"| `{array}` | `{pseudonym(organization, user)}` |" in page


class TestDecision:
    @pytest.fixture
    def replica(self, replica: Replica) -> Replica:
        """Ada has chosen, Bob hasn't."""
        toggles = [
            {"name": "news", "default": True, "mandatory": False},
            {"name": "digest", "default": False, "mandatory": False},
            {"name": "alarm", "default": True, "mandatory": True},
        ]
        catalogue = catalogue_published(channels=[{"name": "email", "toggles": toggles}])
        replica.apply(handed_on(catalogue, opened(), toggled(2, "news", False), toggled(3, "digest", True)))
        replica.was_current(NOW)
        return replica

    def test_a_choice_counts_for_whoever_made_it_and_the_default_for_all_others(self, replica: Replica) -> None:
        assert decided(replica, "user_ada", "news") == (False, Reason.CHOICE)
        assert decided(replica, "user_ada", "digest") == (True, Reason.CHOICE)
        assert decided(replica, "user_bob", "news") == (True, Reason.DEFAULT)
        assert decided(replica, "user_bob", "digest") == (False, Reason.DEFAULT)
        assert decided(replica, "user_ada", "news", organization="org_chess") == (True, Reason.DEFAULT)

    def test_the_newest_catalogue_counts(self, replica: Replica) -> None:
        toggles = [{"name": "news", "default": False, "mandatory": False}]
        newer = catalogue_published(2, channels=[{"name": "email", "toggles": toggles}])
        [event] = handed_on(newer)
        replica.apply([event._replace(sequence=5, position=5)])
        assert decided(replica, "user_bob", "news") == (False, Reason.DEFAULT)
        assert decided(replica, "user_bob", "digest") == (False, Reason.UNKNOWN)

    @pytest.mark.parametrize("current_at", [NOW - BOUND - 0.1, NOW + 1, 0.0], ids=["too old", "in the future", "never"])
    def test_a_stale_replica_sends_what_is_mandatory_and_nothing_else(
        self, replica: Replica, current_at: float
    ) -> None:
        replica.was_current(current_at)
        for user in ("user_ada", "user_bob"):
            for toggle in ("news", "digest"):
                assert decided(replica, user, toggle) == (False, Reason.STALE)
            assert decided(replica, user, "alarm") == (True, Reason.MANDATORY)

    def test_at_the_bound_it_is_not_stale_yet(self, replica: Replica) -> None:
        replica.was_current(NOW - BOUND)
        assert decided(replica, "user_bob").allowed

    def test_what_is_in_no_catalogue_is_not_sent(self, replica: Replica) -> None:
        assert decided(replica, "user_bob", "offers") == (False, Reason.UNKNOWN)

    def test_an_empty_replica_sends_nothing(self, tmp_path: Path) -> None:
        with Replica.write(tmp_path / "empty.sqlite") as empty:
            empty.was_current(NOW)
            assert decided(empty, "user_bob", "alarm") == (False, Reason.UNKNOWN)


class TestReplica:
    def test_what_is_told_again_changes_nothing(self, replica: Replica) -> None:
        told = handed_on(catalogue_published(), opened(), toggled(2, "news", False), toggled(3, "news", True))
        assert replica.apply(told) == 4
        assert replica.apply(told) == 0
        assert replica.apply(told[:2]) == 0
        replica.was_current(NOW)
        assert decided(replica, "user_ada") == (True, Reason.CHOICE)
        assert replica.place().position == 4

    def test_of_a_batch_with_something_wrong_nothing_is_taken_in(self, replica: Replica) -> None:
        first, _, gap = handed_on(opened(), toggled(2, "news", False), toggled(3, "news", True))
        with pytest.raises(Unusable, match=r"position 3 is version 3 of .*, where 2 is due"):
            replica.apply([first, gap])
        assert replica.place() == Place(0, 0)
        assert replica.apply([first]) == 1

    def test_an_event_of_an_unknown_type_stops_it(self, replica: Replica) -> None:
        [event] = handed_on(opened())
        with pytest.raises(Unusable, match=r"notification-preferences\.snoozed\.v1"):
            replica.apply([event._replace(type="notification-preferences.snoozed.v1")])

    def test_what_the_log_has_lost_in_a_failover_is_taken_back(self, replica: Replica) -> None:
        # Given a replica with a choice that the log has lost, before it was continued
        told = handed_on(catalogue_published(), opened(), toggled(2, "news", False), toggled(3, "news", True))
        [again] = handed_on(toggled(3, "tips", True))
        [mark] = handed_on(continued(3))
        mark = mark._replace(sequence=5, position=10**15)
        again = again._replace(sequence=6, position=10**15 + 1)
        replica.apply(told)
        # when it is told so, then it begins anew,
        with pytest.raises(BeginAnew):
            replica.apply([mark, again])
        assert replica.place() == Place(0, 0)
        assert decided(replica, "user_ada") == (False, Reason.UNKNOWN)
        # and what is lost is left out, though the stream still has it.
        for event in (*told, mark, again):
            replica.apply([event])
        replica.was_current(NOW)
        assert decided(replica, "user_ada") == (False, Reason.CHOICE)
        assert replica.place() == Place(10**15 + 1, 6)

    def test_a_continuation_that_has_lost_nothing_that_it_has_changes_nothing(self, replica: Replica) -> None:
        told = handed_on(catalogue_published(), opened(), toggled(2, "news", False), continued(3))
        assert replica.apply(told) == 4
        replica.was_current(NOW)
        assert decided(replica, "user_ada") == (False, Reason.CHOICE)

    def test_who_was_erased_is_forgotten_and_still_not_written_to(self, replica: Replica, file: Path) -> None:
        told = handed_on(catalogue_published(), opened(), toggled(2, "news", False), erased(3), opened(BOB))
        assert told[3].type == ERASED
        replica.apply(told[:3])
        assert b"user_ada" in everything(file)
        replica.apply(told[3:])
        replica.was_current(NOW)
        assert b"user_ada" not in everything(file)
        assert b"user_bob" in everything(file)
        assert decided(replica, "user_ada") == (False, Reason.CHOICE)

    def test_who_comes_back_after_an_erasure_has_a_name_again(self, replica: Replica, file: Path) -> None:
        replica.apply(handed_on(opened(), erased(2), toggled(3, "news", False)))
        assert names(file) == [(str(ADA), "org_math", "user_ada")]

    def test_a_name_beyond_ascii_arrives_as_it_is(self, replica: Replica, file: Path) -> None:
        replica.apply(handed_on(opened(actor={"user": 'Zoë %20 "x" 🙂'})))
        assert [name for _, _, name in names(file)] == ['Zoë %20 "x" 🙂']


def everything(file: Path) -> bytes:
    """What stands in the file, and in those beside it."""
    return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))


def names(file: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(file)) as kept:
        return kept.execute("SELECT key, organization, user FROM names").fetchall()
